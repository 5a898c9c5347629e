use super::*;
use crate::testing::{CALLER, OURS, START, agent, call_sid};
use crate::twin::sqlite::Sqlite;
use shared::call::{CallStatus, Direction};
use shared::console_api::BoardMessage;
use shared::ids::Party;

struct Bench {
    sql: Sqlite,
    machine: Switchboard,
    now: UnixMillis,
    beats: i64,
}

impl Bench {
    fn new() -> Self {
        let sql = Sqlite::open().unwrap();
        let machine = Switchboard::load(&sql, START).unwrap();
        Self { sql, machine, now: START, beats: 0 }
    }

    /// Loses the memory and loads what is stored.
    fn reload(&mut self) {
        self.machine = Switchboard::load(&self.sql, self.now).unwrap();
    }

    fn handle(&mut self, input: SwitchboardInput) -> SwitchboardOutput {
        self.machine.handle(&self.sql, self.now, input).unwrap()
    }

    fn ask(&mut self, request: SwitchboardRequest) -> SwitchboardOutput {
        self.handle(SwitchboardInput::Request { request, salt: [7; 16] })
    }

    fn beat(&mut self, node: &str, live_calls: u32) -> SwitchboardOutput {
        self.beats += 1;
        let heartbeat = Heartbeat {
            protocol: 1,
            node: NodeId::parse(node).unwrap(),
            url: format!("wss://{node}.example.com"),
            region: "iad".into(),
            capacity: 4,
            live_calls,
            draining: false,
            version: "1".into(),
        };
        let signed =
            SignedHeartbeat { heartbeat, at: self.now.plus(self.beats), nonce: format!("nonce{:016}", self.beats) };
        self.ask(SwitchboardRequest::Heartbeat(Box::new(signed)))
    }

    fn pick(&mut self, avoid: Option<&str>) -> Option<String> {
        let avoid = avoid.map(|n| NodeId::parse(n).unwrap());
        match self.ask(SwitchboardRequest::PickNode { avoid }).answer {
            SwitchboardResponse::Node(node) => node.map(|n| n.node.to_string()),
            other => panic!("{other:?}"),
        }
    }

    fn lookup(&mut self, number: Option<&str>, agent: Option<&str>) -> Option<String> {
        let lookup = Lookup {
            number: number.map(|n| PhoneNumber::parse(n).unwrap()),
            agent: agent.map(|a| AgentId::parse(a).unwrap()),
            with_node: false,
        };
        match self.ask(SwitchboardRequest::Lookup(lookup)).answer {
            SwitchboardResponse::Found { agent, node: None } => agent.map(|a| a.id.to_string()),
            other => panic!("{other:?}"),
        }
    }
}

fn board_call(n: u8, version: u64) -> BoardCall {
    BoardCall {
        call: CallId::derived([n; 16]),
        call_sid: Some(call_sid(u32::from(n))),
        direction: Direction::Inbound,
        from: Party::read(CALLER),
        to: Party::read(OURS),
        agent: None,
        status: CallStatus::Ringing,
        node: None,
        opened_at: START,
        answered_at: None,
        version,
    }
}

fn shown(output: &SwitchboardOutput) -> Vec<BoardMessage> {
    output
        .effects
        .iter()
        .filter_map(|effect| match effect {
            SwitchboardEffect::Broadcast { text } | SwitchboardEffect::Send { text, .. } => {
                Some(serde_json::from_str(text).unwrap())
            }
            SwitchboardEffect::LoadMirror { .. } => None,
        })
        .collect()
}

#[test]
fn calls_are_spread_and_no_node_is_overfilled() {
    let mut bench = Bench::new();
    assert_eq!(bench.pick(None), None);
    bench.beat("m1", 0);
    bench.beat("m2", 2);
    let picks: Vec<Option<String>> = (0..7).map(|_| bench.pick(None)).collect();
    let count = |name: &str| picks.iter().filter(|p| p.as_deref() == Some(name)).count();
    assert_eq!((count("m1"), count("m2"), picks[6].clone()), (4, 2, None), "{picks:?}");
    // What was given away counts until the node's own figure has it.
    bench.now = bench.now.plus(3_000);
    bench.beat("m1", 4);
    bench.beat("m2", 3);
    assert_eq!(bench.pick(None).as_deref(), Some("m2"));
    assert_eq!(bench.pick(None), None);
}

#[test]
fn the_node_that_lost_a_call_gets_it_only_when_nobody_else_can() {
    let mut bench = Bench::new();
    bench.beat("m1", 0);
    assert_eq!(bench.pick(Some("m1")).as_deref(), Some("m1"));
    bench.beat("m2", 3);
    assert_eq!(bench.pick(Some("m1")).as_deref(), Some("m2"));
}

#[test]
fn a_lease_lapses_and_the_watchers_see_it() {
    let mut bench = Bench::new();
    let socket = SocketId("w".into());
    bench.beat("m1", 1);
    let board = bench.handle(SwitchboardInput::WatcherOpened { socket: socket.clone() });
    assert!(matches!(shown(&board).as_slice(), [BoardMessage::Board { nodes, .. }] if nodes[0].alive));
    bench.now = bench.now.plus(2_000);
    assert_eq!(shown(&bench.beat("m1", 1)), [], "nothing that a watcher sees has changed");
    let changed = shown(&bench.beat("m1", 2));
    assert!(matches!(changed.as_slice(), [BoardMessage::Nodes { nodes }] if nodes[0].live_calls == 2));
    let mut lapsed = None;
    while lapsed.is_none() {
        let output = bench.handle(SwitchboardInput::Alarm);
        lapsed = shown(&output).into_iter().find(|m| matches!(m, BoardMessage::Nodes { nodes } if !nodes[0].alive));
        if lapsed.is_none() {
            bench.now = output.alarm.unwrap();
        }
    }
    assert!(bench.now.since(START) <= 2_000 + 6_000 + 5_000);
    assert_eq!(bench.pick(None), None);
    let back = bench.beat("m1", 0);
    assert!(matches!(shown(&back).as_slice(), [BoardMessage::Nodes { nodes }] if nodes[0].alive));
}

#[test]
fn an_eviction_forgets_nobody_who_is_alive() {
    let mut bench = Bench::new();
    bench.beat("m1", 0);
    bench.now = bench.now.plus(15_000);
    bench.beat("m1", 0);
    bench.now = bench.now.plus(4_000);
    bench.reload();
    assert_eq!(bench.pick(None).as_deref(), Some("m1"), "its next heartbeat is on its way");
    bench.now = bench.now.plus(4_000);
    assert_eq!(bench.pick(None), None, "it never came");
}

#[test]
fn a_report_counts_by_its_version_and_the_end_is_the_end() {
    let mut bench = Bench::new();
    let report = |bench: &mut Bench, call: BoardCall, over| {
        let output = bench.ask(SwitchboardRequest::Report { call: Box::new(call), over });
        shown(&output)
    };
    assert_eq!(report(&mut bench, board_call(1, 3), false), [BoardMessage::Call { call: board_call(1, 3) }]);
    assert_eq!(report(&mut bench, board_call(1, 2), false), []);
    assert_eq!(report(&mut bench, board_call(1, 3), false), []);
    report(&mut bench, board_call(2, 1), false);
    let resolve = |bench: &mut Bench, n| bench.ask(SwitchboardRequest::Resolve { call_sid: call_sid(n) }).answer;
    assert_eq!(resolve(&mut bench, 1), SwitchboardResponse::Call(Some(CallId::derived([1; 16]))));
    assert_eq!(report(&mut bench, board_call(1, 7), true), [BoardMessage::Gone { call: CallId::derived([1; 16]) }]);
    for version in [6, 7, 8] {
        assert_eq!(report(&mut bench, board_call(1, version), false), [], "a late report brings nobody back");
    }
    assert_eq!(
        resolve(&mut bench, 1),
        SwitchboardResponse::Call(Some(CallId::derived([1; 16]))),
        "still known by name"
    );
    assert_eq!(resolve(&mut bench, 9), SwitchboardResponse::Call(None));
    bench.reload();
    let board = bench.handle(SwitchboardInput::WatcherOpened { socket: SocketId("w".into()) });
    assert!(matches!(shown(&board).first(), Some(BoardMessage::Board { calls, .. }) if *calls == [board_call(2, 1)]));
}

#[test]
fn the_configuration_is_mirrored_whole_by_version() {
    let mut bench = Bench::new();
    assert_eq!(bench.lookup(Some(OURS), None).as_deref(), Some("line-test"));
    assert_eq!(bench.lookup(None, Some("desk")), None);
    let mirror = |version, default: Option<&str>| Mirror {
        version,
        agents: vec![agent("desk"), agent("night")],
        numbers: BTreeMap::from([(OURS.to_owned(), AgentId::parse("desk").unwrap())]),
        default_agent: default.map(|d| AgentId::parse(d).unwrap()),
    };
    bench.ask(SwitchboardRequest::Mirror(Box::new(mirror(5, Some("night")))));
    bench.ask(SwitchboardRequest::Mirror(Box::new(Mirror { version: 4, ..Mirror::default() })));
    for _ in 0..2 {
        assert_eq!(bench.lookup(Some(OURS), None).as_deref(), Some("desk"));
        assert_eq!(bench.lookup(Some(CALLER), None).as_deref(), Some("night"));
        assert_eq!(bench.lookup(Some(OURS), Some("night")).as_deref(), Some("night"), "asked for by name");
        assert_eq!(bench.lookup(None, Some("line-test")).as_deref(), Some("line-test"));
        assert_eq!(bench.lookup(None, Some("nobody")), None);
        bench.reload();
    }
    bench.ask(SwitchboardRequest::Mirror(Box::new(mirror(6, None))));
    assert_eq!(bench.lookup(Some(CALLER), None).as_deref(), Some("line-test"));
}

#[test]
fn a_restored_database_counts_and_a_late_answer_does_not() {
    let mut bench = Bench::new();
    let mirror = |version, default: &str| {
        let default_agent = Some(AgentId::parse(default).unwrap());
        Box::new(Mirror { version, agents: vec![agent("desk"), agent("night")], default_agent, ..Mirror::default() })
    };
    let held = |output: &SwitchboardOutput| {
        output.effects.iter().find_map(|effect| match effect {
            SwitchboardEffect::LoadMirror { held } => Some(*held),
            _ => None,
        })
    };
    bench.ask(SwitchboardRequest::Mirror(mirror(9, "desk")));
    bench.now = bench.now.plus(60_000);
    let asked = held(&bench.handle(SwitchboardInput::Alarm)).unwrap();
    // While D1 was being read, a change was made and arrived first: what was read is late.
    bench.ask(SwitchboardRequest::Mirror(mirror(10, "night")));
    bench.ask(SwitchboardRequest::Fetched { mirror: mirror(9, "desk"), held: asked });
    assert_eq!(bench.lookup(Some(CALLER), None).as_deref(), Some("night"));
    // Restored from a backup of version 3.
    bench.now = bench.now.plus(60_000);
    let asked = held(&bench.handle(SwitchboardInput::Alarm)).unwrap();
    bench.ask(SwitchboardRequest::Fetched { mirror: mirror(3, "desk"), held: asked });
    assert_eq!(bench.lookup(Some(CALLER), None).as_deref(), Some("desk"));
    bench.reload();
    bench.ask(SwitchboardRequest::Mirror(mirror(4, "night")));
    assert_eq!(bench.lookup(Some(CALLER), None).as_deref(), Some("night"));
}

#[test]
fn the_mirror_is_fetched_when_it_is_old_and_not_by_the_vault() {
    let mut bench = Bench::new();
    let loads = |output: &SwitchboardOutput| output.effects.contains(&SwitchboardEffect::LoadMirror { held: 0 });
    assert!(loads(&bench.ask(SwitchboardRequest::Nodes)));
    assert!(!loads(&bench.ask(SwitchboardRequest::Nodes)));
    bench.now = bench.now.plus(60_000);
    assert!(loads(&bench.handle(SwitchboardInput::Alarm)));

    let mut vault = Bench::new();
    let password = Password("correct horse battery".into());
    let output = vault.ask(SwitchboardRequest::HashPassword { password });
    assert_eq!((output.effects, output.alarm), (Vec::new(), None));
    assert!(matches!(output.answer, SwitchboardResponse::Hashed(_)));
}

#[test]
fn requests_do_not_print_what_they_carry() {
    let request =
        SwitchboardRequest::CheckPassword { password: Password("hunter2".into()), hash: None, buckets: vec![] };
    assert!(!format!("{request:?}").contains("hunter2"));
    assert_eq!((request.object(), SwitchboardRequest::Nodes.object()), ("vault", "main"));
}
