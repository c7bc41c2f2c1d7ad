//! Pairing against who sits on the wire: what is changed, exchanged, repeated or tried again pairs nobody whom the people at both
//! ends did not mean.

use super::*;
use crate::link::agreement::NONCE;
use crate::sim::cuts::Random;
use crate::state::State;

const DEVICE: PublicKey = [8; 32];

fn ephemeral(seed: u64) -> Ephemeral {
    let mut random = Random::new(seed);
    Ephemeral::new(
        core::array::from_fn(|_| random.bits() as u8),
        core::array::from_fn::<u8, NONCE, _>(|_| random.bits() as u8),
    )
}

fn proposal(seed: u64, role: Role) -> Proposal {
    Proposal::new(ephemeral(seed), role, Label::try_from("desk").unwrap())
}

/// A device in pairing mode since `Uptime(0)`, and what it draws.
struct Pressed {
    mode: PairingMode,
    pairings: State,
    drawn: u64,
}

impl Pressed {
    fn new(at_most: Role) -> Self {
        let mut mode = PairingMode::default();
        mode.begin(at_most, Uptime(0));
        Pressed { mode, pairings: State::unknown(), drawn: 1000 }
    }

    fn commit(&mut self, proposal: &Proposal, now: u64) -> Result<Share, Refusal> {
        let drawn = &mut self.drawn;
        let fresh = || {
            *drawn += 1;
            ephemeral(*drawn)
        };
        self.mode.commit(&proposal.reveal().commitment(), fresh, Uptime(now))
    }

    fn reveal(&mut self, reveal: &Reveal, now: u64) -> Result<Option<Shown>, Refusal> {
        self.mode.reveal(&DEVICE, reveal, Uptime(now))
    }

    fn confirm(&mut self, proof: &[u8; 32], now: u64) -> Result<Confirmed, Refusal> {
        self.mode.confirm(proof, &mut self.pairings, || 77, Uptime(now))
    }

    /// Everything up to the code.
    fn shown(&mut self, proposal: Proposal, now: u64) -> (Comparison, Shown) {
        let share = self.commit(&proposal, now).unwrap();
        let shown = self.reveal(proposal.reveal(), now).unwrap().unwrap();
        (proposal.compare(&DEVICE, &share).unwrap(), shown)
    }
}

#[test]
fn who_types_the_code_is_paired_and_every_step_may_come_again() {
    let mut device = Pressed::new(Role::Administrator);
    let proposal = proposal(1, Role::Operator);
    let share = device.commit(&proposal, 1).unwrap();
    assert_eq!(device.commit(&proposal, 2), Ok(share));
    let shown = device.reveal(proposal.reveal(), 3).unwrap().unwrap();
    assert_eq!(device.reveal(proposal.reveal(), 4), Ok(None), "the code is shown already");
    assert_eq!((shown.role, shown.label.as_str()), (Role::Operator, "desk"));
    let host = proposal.compare(&DEVICE, &share).unwrap();
    let proof = host.typed(shown.code).unwrap();
    let confirmed = device.confirm(&proof, 59_999).unwrap();
    assert!(confirmed.new && confirmed.role == Role::Operator);
    // The mode is over; the same packet is answered all the same.
    assert_eq!(device.mode.role(Uptime(5)), None);
    assert_eq!(device.confirm(&proof, 70_000), Ok(Confirmed { new: false, ..confirmed }));
    let Confirmed { host: number, proof: answer, .. } = confirmed;
    assert_eq!(host.finish(number, &answer).as_ref(), device.pairings.get(number));
    assert_eq!(device.pairings.list().len(), 1);
    assert_eq!(host.finish(number ^ 1, &answer), None);
}

#[test]
fn another_code_is_refused_at_the_host_and_at_the_device() {
    let mut device = Pressed::new(Role::Administrator);
    let (host, shown) = device.shown(proposal(1, Role::Operator), 1);
    let wrong = Code((shown.code.0 + 1) % 1_000_000);
    assert_eq!(host.typed(wrong), None);
    // A host that does not look.
    assert_eq!(device.confirm(&host.agreed.host_proof(wrong), 2), Err(Refusal::Code));
    // The attempt is over: the right code comes too late.
    assert_eq!(device.confirm(&host.agreed.host_proof(shown.code), 3), Err(Refusal::Order));
    assert!(device.pairings.list().is_empty());
}

#[test]
fn the_mode_ends_with_the_minute_three_attempts_or_a_clock_that_jumps_back() {
    let mut device = Pressed::new(Role::Operator);
    assert_eq!(device.mode.role(Uptime(59_999)), Some(Role::Operator));
    assert_eq!(device.mode.role(Uptime(60_000)), None);
    assert_eq!(device.commit(&proposal(1, Role::Operator), 60_000), Err(Refusal::NotPairing));
    let (host, shown) = device.shown(proposal(1, Role::Operator), 59_000);
    let proof = host.typed(shown.code).unwrap();
    assert_eq!(device.confirm(&proof, 60_000), Err(Refusal::NotPairing));
    let mut device = Pressed::new(Role::Operator);
    // Shares alone, never revealed, are attempts too: who draws many could choose among their codes.
    for seed in 1..=3 {
        device.commit(&proposal(seed, Role::Operator), 1).unwrap();
    }
    assert_eq!(device.commit(&proposal(4, Role::Operator), 1), Err(Refusal::NotPairing));
    assert_eq!(device.mode.role(Uptime(1)), None);
    let mut late = PairingMode::default();
    late.begin(Role::Operator, Uptime(10));
    assert_eq!(late.role(Uptime(9)), None);
}

#[test]
fn nobody_gets_more_than_the_press_gives_or_changes_what_was_committed_to() {
    let mut device = Pressed::new(Role::Operator);
    let greedy = proposal(1, Role::Administrator);
    device.commit(&greedy, 1).unwrap();
    assert_eq!(device.reveal(greedy.reveal(), 1), Err(Refusal::Role { at_most: Role::Operator }));
    let honest = proposal(2, Role::Operator);
    let changes: [fn(&mut Reveal); 4] = [
        |r| r.share.nonce[0] ^= 1,
        |r| r.share.public = ephemeral(9).share().public,
        |r| r.role = Role::Administrator,
        |r| r.label = Label::try_from("disk").unwrap(),
    ];
    for change in changes {
        let mut device = Pressed::new(Role::Administrator);
        device.commit(&honest, 1).unwrap();
        let mut reveal = honest.reveal().clone();
        change(&mut reveal);
        assert_eq!(device.reveal(&reveal, 1), Err(Refusal::Commitment));
        assert_eq!(device.reveal(honest.reveal(), 1), Err(Refusal::Order), "the attempt is over");
    }
    let mut device = Pressed::new(Role::Administrator);
    assert_eq!(device.confirm(&[0; 32], 1), Err(Refusal::Order));
    let weak = Share { public: [0; 32], nonce: [1; NONCE] };
    let mut reveal = honest.reveal().clone();
    reveal.share = weak;
    device.mode.commit(&reveal.commitment(), || ephemeral(3), Uptime(1)).unwrap();
    assert_eq!(device.reveal(&reveal, 1), Err(Refusal::WeakKey));
    assert!(honest.compare(&DEVICE, &weak).is_none());
}

#[test]
fn a_full_list_is_said_and_costs_nobody_their_place() {
    let mut device = Pressed::new(Role::Operator);
    for host in 0..PAIRINGS as u16 {
        let pairing = Pairing { host, role: Role::Operator, key: [1; 32], label: Label::new() };
        device.pairings.add(pairing).unwrap();
    }
    let (host, shown) = device.shown(proposal(1, Role::Operator), 1);
    let full = Refusal::Pairings(PairingsError::Full { capacity: PAIRINGS as u8 });
    assert_eq!(device.confirm(&host.typed(shown.code).unwrap(), 1), Err(full));
    assert_eq!(device.pairings.list().len(), PAIRINGS);
}

/// Who sits between the two, with shares of its own for each: what the people see differs, and so nobody is paired. The codes
/// are equal as often as chance has it: never, in so few attempts.
#[test]
fn a_man_in_the_middle_is_seen() {
    let mut equal = 0;
    for round in 0..30 {
        let mut device = Pressed::new(Role::Administrator);
        let host = proposal(4 * round, Role::Operator);
        // Toward the device it commits to a share of its own, with whatever label; toward the host it plays the device.
        let middle = proposal(4 * round + 1, Role::Operator);
        let (_, shown) = device.shown(middle, 1);
        let toward_host = ephemeral(4 * round + 2);
        let reveal = host.reveal().clone();
        let host = host.compare(&DEVICE, &toward_host.share()).unwrap();
        match host.typed(shown.code) {
            Some(_) => equal += 1,
            None => {
                // It knows the key with each, but the host says nothing.
                let known =
                    Agreed::new(&DEVICE, &reveal, &toward_host.share(), &toward_host, &reveal.share).unwrap();
                assert_eq!(known.code, host.agreed.code);
                assert_ne!(known.code, shown.code);
                // Nor does what it hears of one side serve at the other.
                let proof = known.host_proof(known.code);
                assert_eq!(device.confirm(&proof, 2), Err(Refusal::Code));
            }
        }
    }
    assert_eq!(equal, 0);
}

/// Codes are spread evenly: as many of each tenth as chance has it.
#[test]
fn codes_take_all_values() {
    let mut tenths = [0; 10];
    for round in 0..200 {
        let [reveal, share] = [round, round + 10_000].map(ephemeral);
        let host =
            Proposal::new(reveal, Role::Operator, Label::new()).compare(&DEVICE, &share.share()).unwrap();
        assert!(host.agreed.code.0 < 1_000_000);
        tenths[(host.agreed.code.0 / 100_000) as usize] += 1;
    }
    assert!(tenths.iter().all(|&count: &i32| (5..40).contains(&count)), "{tenths:?}");
    assert_eq!(Code(42).to_string(), "000042");
}
