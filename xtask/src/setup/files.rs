//! wrangler.toml and fly.toml with a deployment's own values in them; every comment stays where it is.

use anyhow::{Context as _, Result};
use toml_edit::{DocumentMut, value};

/// Sets variables of the Worker in the text of wrangler.toml.
pub(crate) fn with_edge_vars(text: &str, vars: &[(&str, &str)]) -> Result<String> {
    edit(text, "wrangler.toml", |file| {
        let table = file.get_mut("vars").and_then(|vars| vars.as_table_mut()).context("wrangler.toml has no [vars]")?;
        for (name, text) in vars {
            table[*name] = value(*text);
        }
        Ok(())
    })
}

/// Sets the id of the database in the text of wrangler.toml.
pub(crate) fn with_database(text: &str, id: &str) -> Result<String> {
    edit(text, "wrangler.toml", |file| {
        let databases = file.get_mut("d1_databases").and_then(|databases| databases.as_array_of_tables_mut());
        let database = databases.and_then(|databases| databases.get_mut(0)).context("wrangler.toml has no database")?;
        database["database_id"] = value(id);
        Ok(())
    })
}

/// What a text of wrangler.toml says: the id of the database and the value of a variable.
pub(crate) fn noted(text: &str, variable: &str) -> Result<(String, String)> {
    let file: DocumentMut = text.parse().context("wrangler.toml is not TOML")?;
    let id = file.get("d1_databases").and_then(|databases| databases.as_array_of_tables());
    let id = id.and_then(|databases| databases.get(0)?.get("database_id")?.as_str());
    let variable = file.get("vars").and_then(|vars| vars.get(variable)?.as_str());
    Ok((id.unwrap_or_default().to_owned(), variable.unwrap_or_default().to_owned()))
}

/// Sets the app's name and its addresses in the text of fly.toml.
pub(crate) fn with_fly_app(text: &str, app: &str, edge_url: &str) -> Result<String> {
    edit(text, "fly.toml", |file| {
        file["app"] = value(app);
        let env = file.get_mut("env").and_then(|env| env.as_table_mut()).context("fly.toml has no [env]")?;
        env["PUBLIC_URL"] = value(format!("wss://{app}.fly.dev"));
        env["EDGE_URL"] = value(edge_url);
        Ok(())
    })
}

fn edit(text: &str, name: &str, change: impl FnOnce(&mut DocumentMut) -> Result<()>) -> Result<String> {
    let mut file: DocumentMut = text.parse().with_context(|| format!("{name} is not TOML"))?;
    change(&mut file)?;
    Ok(file.to_string())
}

#[cfg(test)]
mod tests {
    use super::{noted, with_database, with_edge_vars, with_fly_app};

    const WRANGLER: &str = include_str!("../../../wrangler.toml");
    const FLY: &str = include_str!("../../../fly.toml");

    fn changed(before: &str, after: &str) -> Vec<String> {
        assert_eq!(before.lines().count(), after.lines().count());
        before.lines().zip(after.lines()).filter(|(one, other)| one != other).map(|(_, line)| line.to_owned()).collect()
    }

    #[test]
    fn only_the_named_variables_change() {
        let vars = [("PUBLIC_BASE_URL", "https://line.example"), ("TWILIO_CALLER_ID", "+14155550100")];
        let text = with_edge_vars(WRANGLER, &vars).expect("the file of this tree");
        let lines = changed(WRANGLER, &text);
        assert_eq!(lines, ["PUBLIC_BASE_URL = \"https://line.example\"", "TWILIO_CALLER_ID = \"+14155550100\""]);
        assert_eq!(with_edge_vars(&text, &vars).expect("again"), text);
    }

    #[test]
    fn the_database_is_noted_and_read_back() {
        let text = with_database(WRANGLER, "5f8c").expect("the file of this tree");
        assert_eq!(changed(WRANGLER, &text), ["database_id = \"5f8c\""]);
        let url = "https://api.twilio.com".to_owned();
        assert_eq!(noted(&text, "TWILIO_API_BASE_URL").expect("parses"), ("5f8c".into(), url));
    }

    #[test]
    fn the_fly_app_gets_its_name_and_addresses() {
        let text = with_fly_app(FLY, "line-media", "https://line.example").expect("the file of this tree");
        let lines = changed(FLY, &text);
        assert_eq!(
            lines,
            [
                "app = \"line-media\"",
                "PUBLIC_URL = \"wss://line-media.fly.dev\"",
                "EDGE_URL = \"https://line.example\""
            ]
        );
    }
}
