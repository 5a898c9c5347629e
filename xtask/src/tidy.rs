//! Rules of the house that no compiler checks.
use crate::checkout::Checkout;
use anyhow::Result;
pub(crate) fn check(_checkout: &Checkout) -> Result<()> {
    Ok(())
}
