//! People who come as a bundle, signed, and who do not come back with an old one.

use anyhow::{Context, Result, bail, ensure};
use arcgate::bundle;
use arcgate::enroll::Place;
use arcgate::keys::{Key, update};
use arcgate::link::{Client, LinkError};
use arcgate_firmware::bundle::BundleError;
use arcgate_firmware::link::Fault;
use arcgate_firmware::link::answer::Answer;
use arcgate_firmware::model::ModelInfo;
use arcgate_firmware::update::{SigningKey, UpdateError};

use super::super::cast::Person;
use super::{GOES, Pixels, Script};

/// Versions of bundles: of the one that is taken, of one from before.
const TAKEN: u32 = 20;
const OLDER: u32 = 19;

impl Script {
    /// Who went comes back, with a bundle that who may has signed; then goes for good.
    pub(super) fn bundles(&mut self) -> Result<()> {
        let (client, info) = self.bench.client()?;
        let mut place = Place::new(client, info);
        let answer = self.view(&mut place, |cast| &cast.people[GOES].enrolled, Pixels::Crop)?;
        ensure!(matches!(answer, Answer::Unknown { .. }), "who is gone is {answer:?}");
        let Person { name, enrolled, .. } = &self.cast.people[GOES];
        let (name, shot) = (name.clone(), (self.network(), enrolled.name.clone()));
        let embedding = self.seen.get(&shot).context("the embedding of who went")?.clone();
        let model = place.model().clone();
        let made = |signer: &SigningKey, version| made(signer, version, &model, (&name, &embedding));

        let client = place.client();
        let strangers = made(&SigningKey::new(&[9; 32]), TAKEN)?;
        self.not_taken("a bundle of another signer", client, &strangers, |why| {
            matches!(why, Fault::Update(UpdateError::OtherKey { .. }))
        })?;
        let (own, older) = (made(&update::development(), TAKEN)?, made(&update::development(), OLDER)?);
        let done = client.restore(&own, (false, false), &mut |_| ())?;
        ensure!((done.people, done.templates) == (1, 1), "{done:?}");
        self.all_known(&mut place, GOES..GOES + 1, Pixels::Crop)?;
        let client = place.client();
        let is_rollback = |least| move |why: &Fault| matches!(why, Fault::Bundle(BundleError::Rollback { least: of, .. }) if *of == least);
        self.not_taken("an older bundle", client, &older, is_rollback(TAKEN))?;
        let again = client.restore(&own, (false, false), &mut |_| ())?;
        ensure!((again.people, again.known, again.templates) == (0, 1, 0), "{again:?}");
        self.forget(client, &name)?;
        drop(place);
        self.boot(None);
        let (mut client, _) = self.bench.client_of(self.version)?;
        self.not_taken("the bundle of who was removed", &mut client, &own, is_rollback(TAKEN + 1))?;
        ensure!(client.stats()?.bundle_version == Some(TAKEN), "{:?}", client.stats());
        self.list(&mut client)?;
        Ok(())
    }

    fn not_taken(
        &mut self,
        what: &str,
        client: &mut Client,
        bytes: &[u8],
        expected: impl Fn(&Fault) -> bool,
    ) -> Result<()> {
        match client.restore(bytes, (false, false), &mut |_| ()) {
            Err(LinkError::Fault(why)) if expected(&why) => self.answers.push(format!("{what}: {why}")),
            other => bail!("{what}: {other:?}"),
        }
        Ok(())
    }
}

/// One person with one template for the machine, whose key is the one in the software.
fn made(
    signer: &SigningKey,
    version: u32,
    model: &ModelInfo,
    (name, embedding): (&str, &[i8]),
) -> Result<Vec<u8>> {
    let people = [(name, vec![embedding.to_vec()])];
    Ok(bundle::enrolment(&Key::Software.bundle(), signer, version, model, &people)?)
}
