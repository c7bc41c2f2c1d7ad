//! Pairing against who sits on the wire: what is changed, exchanged, repeated or tried again pairs nobody whom the people at both
//! ends did not mean.

use super::*;
use crate::sim::cuts::Random;
use crate::state::State;

const DEVICE: PublicKey = [8; 32];

fn bytes<const N: usize>(seed: u64) -> [u8; N] {
    let mut random = Random::new(seed);
    core::array::from_fn(|_| random.bits() as u8)
}

fn drawn(seed: u64) -> Drawn {
    Drawn { secret: bytes(seed), nonce: bytes(seed + 1), code: bytes(seed + 2) }
}

fn proposal(seed: u64, role: Role) -> Proposal {
    Proposal::new(role, Label::try_from("desk").unwrap(), bytes(seed))
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
        mode.press(at_most, Uptime(0));
        Pressed { mode, pairings: State::unknown(), drawn: 1000 }
    }

    fn begin(&mut self, proposal: &Proposal, now: u64) -> Result<([u8; NONCE], Option<Shown>), Refusal> {
        let draws = &mut self.drawn;
        let draw = || {
            *draws += 10;
            drawn(*draws)
        };
        self.mode.begin(&DEVICE, proposal.begin(), draw, Uptime(now))
    }

    fn confirm(&mut self, proof: &[u8; 32], now: u64) -> Result<Confirmed, Refusal> {
        self.mode.confirm(proof, &mut self.pairings, || 77, Uptime(now))
    }

    /// Everything up to the host's proof, where `typed` is typed of what is shown.
    fn proven(&mut self, proposal: Proposal, typed: impl FnOnce(Code) -> Code, now: u64) -> Proven {
        let (nonce, shown) = self.begin(&proposal, now).unwrap();
        let code = typed(shown.expect("a code").code);
        let host = proposal.typed(&DEVICE, nonce, code, bytes(7 + now));
        let device = self.mode.meet(&host.public(), Uptime(now)).unwrap();
        host.meet(&device).unwrap()
    }
}

fn another(code: Code) -> Code {
    Code((code.0 + 1) % 1_000_000)
}

#[test]
fn who_types_the_code_is_paired_and_every_step_may_come_again() {
    let mut device = Pressed::new(Role::Administrator);
    let proposal = proposal(1, Role::Operator);
    let (nonce, shown) = device.begin(&proposal, 1).unwrap();
    assert_eq!(device.begin(&proposal, 2), Ok((nonce, None)), "the code is shown already");
    let shown = shown.unwrap();
    assert_eq!((shown.role, shown.label.as_str()), (Role::Operator, "desk"));
    let host = proposal.typed(&DEVICE, nonce, shown.code, bytes(5));
    let public = host.public();
    let answer = device.mode.meet(&public, Uptime(3)).unwrap();
    assert_eq!(device.mode.meet(&public, Uptime(4)), Ok(answer));
    let host = host.meet(&answer).unwrap();
    let confirmed = device.confirm(&host.proof(), 59_999).unwrap();
    assert!(confirmed.new && confirmed.role == Role::Operator);
    // The mode is over; the same packets are answered all the same.
    assert_eq!(device.mode.role(Uptime(5)), None);
    assert_eq!(device.mode.meet(&public, Uptime(70_000)), Ok(answer));
    assert_eq!(device.confirm(&host.proof(), 70_000), Ok(Confirmed { new: false, ..confirmed }));
    let Confirmed { host: number, proof: answer, .. } = confirmed;
    assert_eq!(host.finish(number, &answer).as_ref(), device.pairings.get(number));
    assert_eq!(device.pairings.list().len(), 1);
    assert_eq!(host.finish(number ^ 1, &answer), None);
}

#[test]
fn another_code_is_refused_and_costs_the_attempt() {
    let mut device = Pressed::new(Role::Administrator);
    let host = device.proven(proposal(1, Role::Operator), another, 1);
    assert_eq!(device.confirm(&host.proof(), 2), Err(Refusal::Code));
    assert_eq!(device.confirm(&host.proof(), 3), Err(Refusal::Order));
    assert!(device.pairings.list().is_empty());
    // A second guess of the same code is none: the host has given its public key.
    let mut device = Pressed::new(Role::Administrator);
    let proposal = proposal(1, Role::Operator);
    let (nonce, shown) = device.begin(&proposal, 1).unwrap();
    let code = shown.unwrap().code;
    let [wrong, right] = [another(code), code].map(|c| proposal.clone().typed(&DEVICE, nonce, c, bytes(5)));
    device.mode.meet(&wrong.public(), Uptime(2)).unwrap();
    assert_eq!(device.mode.meet(&right.public(), Uptime(2)), Err(Refusal::Order));
    assert_eq!(device.mode.meet(&right.public(), Uptime(2)), Err(Refusal::Order), "the attempt is over");
    // Another attempt has another code.
    let (_, shown) = device.begin(&self::proposal(2, Role::Operator), 3).unwrap();
    assert_ne!(shown.unwrap().code, code);
}

/// Somebody on the wire while the button is pressed, who sees no light of the device: all that they are told fits every code.
#[test]
fn who_does_not_see_the_code_is_not_paired() {
    for round in 0..20 {
        let mut device = Pressed::new(Role::Administrator);
        for attempt in 0..u64::from(ATTEMPTS) {
            let mine = proposal(100 * round + attempt, Role::Administrator);
            let host = device.proven(mine, |_| Code(123_456), attempt);
            assert_eq!(device.confirm(&host.proof(), attempt), Err(Refusal::Code));
        }
        let late = proposal(100 * round + 50, Role::Administrator);
        assert_eq!(device.begin(&late, 9), Err(Refusal::NotPairing));
        assert!(device.pairings.list().is_empty());
    }
}

#[test]
fn the_mode_ends_with_the_minute_three_attempts_or_a_clock_that_jumps_back() {
    let mut device = Pressed::new(Role::Operator);
    assert_eq!(device.mode.role(Uptime(59_999)), Some(Role::Operator));
    assert_eq!(device.mode.role(Uptime(60_000)), None);
    assert_eq!(device.begin(&proposal(1, Role::Operator), 60_000), Err(Refusal::NotPairing));
    let host = device.proven(proposal(1, Role::Operator), |code| code, 59_000);
    assert_eq!(device.confirm(&host.proof(), 60_000), Err(Refusal::NotPairing));
    device.begin(&proposal(2, Role::Operator), 59_000).unwrap();
    assert_eq!(device.mode.meet(&bytes(3), Uptime(60_000)), Err(Refusal::NotPairing));
    // Codes alone, never typed, are attempts too.
    let mut device = Pressed::new(Role::Operator);
    for seed in 1..=3 {
        device.begin(&proposal(seed, Role::Operator), 1).unwrap();
    }
    assert_eq!(device.begin(&proposal(4, Role::Operator), 1), Err(Refusal::NotPairing));
    assert_eq!(device.mode.role(Uptime(1)), None);
    let mut late = PairingMode::default();
    late.press(Role::Operator, Uptime(10));
    assert_eq!(late.role(Uptime(9)), None);
}

#[test]
fn nobody_gets_more_than_the_press_gives_or_changes_what_was_begun() {
    let mut device = Pressed::new(Role::Operator);
    let too_much = Err(Refusal::Role { at_most: Role::Operator });
    assert_eq!(device.begin(&proposal(1, Role::Administrator), 1), too_much);
    assert!(device.begin(&proposal(1, Role::Operator), 1).is_ok());
    // What is changed on the way belongs to another meeting, and so to another generator.
    let honest = proposal(2, Role::Operator);
    let changes: [fn(&mut Begin); 3] = [
        |b| b.nonce[0] ^= 1,
        |b| b.role = Role::Administrator,
        |b| b.label = Label::try_from("disk").unwrap(),
    ];
    for change in changes {
        let mut device = Pressed::new(Role::Administrator);
        let mut changed = honest.clone();
        change(&mut changed.begin);
        let (nonce, shown) = device.begin(&changed, 1).unwrap();
        let host = honest.clone().typed(&DEVICE, nonce, shown.unwrap().code, bytes(5));
        let answer = device.mode.meet(&host.public(), Uptime(1)).unwrap();
        let host = host.meet(&answer).unwrap();
        assert_eq!(device.confirm(&host.proof(), 1), Err(Refusal::Code));
    }
    let mut device = Pressed::new(Role::Administrator);
    assert_eq!(device.confirm(&[0; 32], 1), Err(Refusal::Order));
    assert_eq!(device.mode.meet(&bytes(1), Uptime(1)), Err(Refusal::Order));
    device.begin(&honest, 1).unwrap();
    assert_eq!(device.confirm(&[0; 32], 1), Err(Refusal::Order));
    let (nonce, _) = device.begin(&honest, 1).unwrap();
    assert_eq!(device.mode.meet(&[0; 32], Uptime(1)), Err(Refusal::WeakKey));
    assert!(honest.typed(&DEVICE, nonce, Code(1), bytes(5)).meet(&[0; 32]).is_none());
}

#[test]
fn a_full_list_is_said_and_costs_nobody_their_place() {
    let mut device = Pressed::new(Role::Operator);
    for host in 0..PAIRINGS as u16 {
        let pairing = Pairing { host, role: Role::Operator, key: [1; 32], label: Label::new() };
        device.pairings.add(pairing).unwrap();
    }
    let host = device.proven(proposal(1, Role::Operator), |code| code, 1);
    let full = Refusal::Pairings(PairingsError::Full { capacity: PAIRINGS as u8 });
    assert_eq!(device.confirm(&host.proof(), 1), Err(full));
    assert_eq!(device.pairings.list().len(), PAIRINGS);
}

/// Who sits between the two and passes on what they like: each side proves the code to nobody but who has it, and to the device with
/// the identity that the host saw.
#[test]
fn a_man_in_the_middle_is_refused_by_both() {
    for round in 0..20 {
        let mut device = Pressed::new(Role::Administrator);
        let (honest, middle) = (proposal(9 * round, Role::Operator), proposal(9 * round + 1, Role::Operator));
        let (nonce, shown) = device.begin(&middle, 1).unwrap();
        let code = shown.unwrap().code;
        // The host hears the random bytes of the device, or of the one between.
        for heard in [nonce, bytes(9 * round + 2)] {
            let host = honest.clone().typed(&DEVICE, heard, code, bytes(9 * round + 3));
            let guess = middle.clone().typed(&DEVICE, heard, Code(round as u32), bytes(9 * round + 4));
            let proven = host.clone().meet(&guess.public()).unwrap();
            let known = guess.meet(&host.public()).unwrap();
            assert_ne!(known.proof(), proven.proof(), "the guess was wrong, and nothing says so");
            assert_eq!(proven.finish(1, &known.agreed.device_proof(1)), None);
        }
        // What it hears of one side does not serve at the other.
        let host = honest.clone().typed(&DEVICE, nonce, code, bytes(9 * round + 3));
        let answer = device.mode.meet(&host.public(), Uptime(1)).unwrap();
        let proof = host.meet(&answer).unwrap().proof();
        assert_eq!(device.confirm(&proof, 1), Err(Refusal::Code));
        // Nor with a device of another identity.
        let mut device = Pressed::new(Role::Administrator);
        let (nonce, shown) = device.begin(&honest, 1).unwrap();
        let host = honest.typed(&[9; 32], nonce, shown.unwrap().code, bytes(9 * round + 3));
        let answer = device.mode.meet(&host.public(), Uptime(1)).unwrap();
        assert_eq!(device.confirm(&host.meet(&answer).unwrap().proof(), 1), Err(Refusal::Code));
    }
}

/// Codes are spread evenly: as many of each tenth as chance has it.
#[test]
fn codes_take_all_values() {
    let mut tenths = [0; 10];
    for round in 0..200 {
        let code = Code::drawn(bytes(round));
        assert!(code.0 < 1_000_000);
        tenths[(code.0 / 100_000) as usize] += 1;
    }
    assert!(tenths.iter().all(|&count: &i32| (5..40).contains(&count)), "{tenths:?}");
    assert_eq!(Code(42).to_string(), "000042");
}
