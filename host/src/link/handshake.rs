//! Before the first request: what answers, a session with it, and how a computer is paired.

use arcgate_firmware::bundle::PublicKey;
use arcgate_firmware::link::agreement::Ephemeral;
use arcgate_firmware::link::handshake::{FromDevice, FromHost, Greeting, Refusal};
use arcgate_firmware::link::message::PROTOCOL;
use arcgate_firmware::link::pairing::{Code, Proposal};
use arcgate_firmware::link::session::{Opening, Session};
use arcgate_firmware::pairings::{Label, Pairing, Role};

use super::Target;
use super::devices::short;
use super::transport::{LinkError, Transport, Wire};

/// Asks what answers.
///
/// # Errors
/// When nothing does, or it speaks another version.
pub(super) fn greet(transport: &mut Transport) -> Result<Greeting, LinkError> {
    let request = "a greeting";
    match transport.say(request, &FromHost::Hello)? {
        FromDevice::Greeting(greeting) if greeting.protocol == PROTOCOL => Ok(greeting),
        FromDevice::Greeting(greeting) => Err(LinkError::Protocol { found: greeting.protocol }),
        _ => Err(LinkError::Unexpected { request }),
    }
}

/// Opens a session.
///
/// # Errors
/// When the device knows nothing of the pairing, or does not have its key.
pub(super) fn open(
    transport: &mut Transport,
    identity: &PublicKey,
    pairing: &Pairing,
) -> Result<Session, LinkError> {
    let device = || short(identity);
    let opening = Opening::new(pairing.clone(), ephemeral());
    let request = "the opening of a session";
    match transport.say(request, &FromHost::Open(opening.message())) {
        Ok(FromDevice::Opened(opened)) => {
            opening.finish(identity, &opened).ok_or_else(|| LinkError::Impostor { device: device() })
        }
        Ok(_) => Err(LinkError::Unexpected { request }),
        Err(LinkError::Refused(Refusal::UnknownHost { .. })) => {
            Err(LinkError::NotPaired { device: device() })
        }
        Err(other) => Err(other),
    }
}

/// Pairs this computer with the device at `target` for `role`, as `label`; `type_code` gives what a person reads on the device.
/// Returns the device's identity and what both share now.
///
/// # Errors
/// When the device is not in pairing mode for so much, another code was typed than it shows, or it could not store the pairing.
pub fn pair<E: From<LinkError>>(
    target: &Target,
    role: Role,
    label: Label,
    type_code: impl FnOnce() -> Result<Code, E>,
) -> Result<(PublicKey, Pairing), E> {
    pair_on(&mut Transport::connect(target)?, role, label, type_code)
}

/// As [`pair`], over a wire that is there.
///
/// # Errors
/// As [`pair`].
pub fn pair_over<E: From<LinkError>>(
    wire: Box<dyn Wire>,
    role: Role,
    label: Label,
    type_code: impl FnOnce() -> Result<Code, E>,
) -> Result<(PublicKey, Pairing), E> {
    pair_on(&mut Transport::over(wire)?, role, label, type_code)
}

fn pair_on<E: From<LinkError>>(
    transport: &mut Transport,
    role: Role,
    label: Label,
    type_code: impl FnOnce() -> Result<Code, E>,
) -> Result<(PublicKey, Pairing), E> {
    let Greeting { identity, open, pairing, .. } = greet(transport)?;
    match pairing {
        _ if open => return Err(LinkError::OpenLink.into()),
        None => return Err(LinkError::NotPairing.into()),
        Some(at_most) if role > at_most => return Err(LinkError::Press { at_most }.into()),
        Some(_) => {}
    }
    let proposal = Proposal::new(role, label, rand::random());
    let request = "pairing";
    let unexpected = || E::from(LinkError::Unexpected { request });
    let begin = FromHost::Pair(proposal.begin().clone());
    let FromDevice::CodeShown { nonce } = transport.say(request, &begin)? else {
        return Err(unexpected());
    };
    let typed = proposal.typed(&identity, nonce, type_code()?, rand::random());
    let meet = FromHost::Meet { public: typed.public() };
    let FromDevice::Met { public } = transport.say(request, &meet)? else {
        return Err(unexpected());
    };
    let proven = typed.meet(&public).ok_or(LinkError::Refused(Refusal::WeakKey))?;
    let confirm = FromHost::Confirm { proof: proven.proof() };
    let FromDevice::Paired { host, proof } = transport.say(request, &confirm)? else {
        return Err(unexpected());
    };
    let impostor = || LinkError::Impostor { device: short(&identity) };
    Ok((identity, proven.finish(host, &proof).ok_or_else(impostor)?))
}

fn ephemeral() -> Ephemeral {
    Ephemeral::new(rand::random(), rand::random())
}
