//! QEMU killed in the middle of enrolments and removals, again and again on one flash: who was enrolled stays and is known, who
//! was removed is gone, and nobody is there by halves.
//!
//! The emulated Cortex-M4 has its gallery in memory that is a file, so that SIGKILL is a power cut: what was programmed or
//! erased until then is in the file, and the next board mounts it. Each round kills the board at a moment drawn at random within
//! about the time that the operation takes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use arcgate::engine::Model;
use arcgate::link::{Client, LinkError};
use arcgate_firmware::gallery::PersonId;
use arcgate_firmware::link::answer::Answer;
use arcgate_firmware::link::message::Who;
use arcgate_tests::or_skip;
use arcgate_tests::people::{Crowd, calibrated, shipped_model};
use arcgate_tests::qemu::{Emulator, Machine};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const KILLS: usize = 32;

/// People at a time; one more is removed.
const PEOPLE: usize = 7;

/// People there are to enroll: each comes again after a removal, with the same picture and another name.
const FACES: usize = 12;

/// What a gallery should hold: name and templates of each number, and whose picture they are.
type Plain = BTreeMap<PersonId, (String, u16, usize)>;

/// What the board is asked to do.
#[derive(Debug, Clone)]
enum Operation {
    Enroll { name: String, face: usize },
    Add { person: PersonId },
    Remove { person: PersonId },
}

impl Operation {
    /// Asks for it. The picture has been sent.
    fn ask(&self, client: &mut Client) -> Result<Option<PersonId>, LinkError> {
        match self {
            Operation::Enroll { name, .. } => client.enroll(Who::New(name)).map(|(id, _)| Some(id)),
            Operation::Add { person } => client.enroll(Who::Person(*person)).map(|_| None),
            Operation::Remove { person } => client.remove(*person).map(|()| None),
        }
    }

    /// What the gallery holds after it, where somebody new has the number `new`.
    fn after(&self, before: &Plain, new: PersonId) -> Plain {
        let mut after = before.clone();
        match self {
            Operation::Enroll { name, face } => drop(after.insert(new, (name.clone(), 1, *face))),
            Operation::Add { person } => after.get_mut(person).expect("somebody enrolled").1 += 1,
            Operation::Remove { person } => drop(after.remove(person)),
        }
        after
    }
}

/// Names and templates by number, as the board lists them.
fn listed(client: &mut Client) -> BTreeMap<PersonId, (String, u16)> {
    let people = client.people().expect("a list");
    people.into_iter().map(|p| (p.id, (p.name.as_str().to_owned(), p.templates))).collect()
}

fn without_faces(plain: &Plain) -> BTreeMap<PersonId, (String, u16)> {
    plain.iter().map(|(&id, (name, templates, _))| (id, (name.clone(), *templates))).collect()
}

fn send(client: &mut Client, model: &Model, crowd: &Crowd, face: usize) {
    let (info, shot) = (model.info(), crowd.shot(face, 0));
    client.send_crop(&shot.crop(info), info.width, info.height).expect("the picture arrives");
}

#[test]
fn whoever_was_answered_for_is_there_after_every_kill() {
    or_skip!(Machine::m4().elf());
    let model = or_skip!(shipped_model());
    let crowd = or_skip!(Crowd::for_model(&model));
    let model = calibrated(model, &crowd);
    let folder = tempfile::tempdir().unwrap();
    let (plan, psram) = (folder.path().join("model.plan"), folder.path().join("psram"));
    std::fs::write(&plan, model.plan_bytes()).unwrap();

    let mut random = ChaCha8Rng::seed_from_u64(20_261_128);
    let mut plain = Plain::new();
    let mut last = PersonId(0);
    // The operation that the kill ended, and how long its kind takes.
    let mut cut: Option<Operation> = None;
    let mut takes = [Duration::from_millis(30); 3];
    let (mut done, mut undone) = (0, 0);
    for round in 0..=KILLS {
        let (emulator, mut client) = Emulator::start(Machine::m4(), &plan, None, &psram);
        let info = client.info().unwrap();
        assert_eq!((info.gallery, info.damaged), (None, 0), "after kill {round}");
        let seen = listed(&mut client);
        if let Some(cut) = cut.take() {
            let new = seen.keys().next_back().copied().filter(|id| *id > last).unwrap_or(last);
            let after = cut.after(&plain, new);
            if seen == without_faces(&after) {
                (plain, done) = (after, done + 1);
            } else {
                undone += 1;
            }
        }
        assert_eq!(seen, without_faces(&plain), "after kill {round}");
        last = seen.keys().next_back().copied().unwrap_or(last).max(last);
        // One of them comes to the camera's place.
        if let Some((id, (name, _, face))) = plain.iter().nth(round % plain.len().max(1)) {
            send(&mut client, &model, &crowd, *face);
            match client.identify().unwrap() {
                Answer::Known { best, .. } => {
                    assert_eq!((best.person, best.name.as_str()), (*id, &name[..]), "after kill {round}")
                }
                other => panic!("after kill {round} {name} is {other:?}"),
            }
        }
        if round == KILLS {
            break;
        }

        // One operation is answered, the next one is not.
        for kill in [false, true] {
            let (kind, operation) = choose(&mut random, &plain, round * 2 + usize::from(kill));
            if let Operation::Enroll { face, .. } = &operation {
                send(&mut client, &model, &crowd, *face);
            } else if let Operation::Add { person } = &operation {
                send(&mut client, &model, &crowd, plain[person].2);
            }
            if !matches!(operation, Operation::Remove { .. }) {
                // The model runs before the clock does.
                client.read_embedding().unwrap();
            }
            if !kill {
                let begin = Instant::now();
                let new = operation.ask(&mut client).expect("it is done");
                takes[kind] = begin.elapsed();
                plain = operation.after(&plain, new.unwrap_or(last));
                last = new.unwrap_or(last);
                continue;
            }
            let delay = takes[kind].mul_f64(random.random_range(0.0..1.2));
            let answered = std::thread::scope(|scope| {
                let asked = scope.spawn(|| operation.ask(&mut client));
                std::thread::sleep(delay);
                drop(emulator);
                asked.join().expect("an answer or a broken connection")
            });
            match answered {
                Ok(new) => {
                    plain = operation.after(&plain, new.unwrap_or(last));
                    last = new.unwrap_or(last);
                }
                Err(LinkError::Broken(_)) => cut = Some(operation),
                Err(other) => panic!("{operation:?}: {other}"),
            }
            break;
        }
    }
    println!(
        "{KILLS} kills: {} operations ended unanswered, of which {done} had been done and {undone} had not",
        done + undone
    );
    assert!(2 * (done + undone) >= KILLS, "most operations were answered before the kill");
}

/// What to do next, and of which kind it is.
fn choose(random: &mut ChaCha8Rng, plain: &Plain, stamp: usize) -> (usize, Operation) {
    let somebody = || plain.keys().nth(stamp % plain.len().max(1)).copied();
    match (somebody(), random.random_range(0..3)) {
        (Some(person), _) if plain.len() > PEOPLE => (2, Operation::Remove { person }),
        (Some(person), 2) if plain.len() > 2 => (2, Operation::Remove { person }),
        (Some(person), 1) => (1, Operation::Add { person }),
        _ => {
            let free = (0..FACES).find(|face| plain.values().all(|(_, _, taken)| taken != face));
            (0, Operation::Enroll { name: format!("n{stamp}"), face: free.expect("more faces than people") })
        }
    }
}
