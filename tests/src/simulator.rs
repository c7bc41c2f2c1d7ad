//! `arcgate simulate` as a child process, and other devices that listen on TCP.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use arcgate::link::{Client, Target};

use crate::{data, program};

/// How long it may take to listen, or to say what a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running simulator; killed when dropped.
#[derive(Debug)]
pub struct Simulator {
    child: Child,
    said: Receiver<String>,
    notes: Receiver<String>,
    target: String,
}

impl Simulator {
    /// Starts `arcgate simulate` on a free port, its link open, with these further arguments.
    ///
    /// # Panics
    /// When it does not listen in a minute; with what it has said.
    pub fn start<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Self {
        Self::start_paired(["--open"].into_iter().chain(arguments))
    }

    /// As [`Simulator::start`], for paired computers alone.
    ///
    /// # Panics
    /// As [`Simulator::start`].
    pub fn start_paired<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Self {
        let mut command = Command::new(program::path());
        command.args(["simulate", "--port", "tcp:127.0.0.1:0", "--json"]).args(arguments);
        Self::run(command)
    }

    /// A device by a program that tells on standard error where it listens, as the simulator does.
    ///
    /// # Panics
    /// As [`Simulator::start`].
    pub fn run(mut command: Command) -> Self {
        let mut child = command
            .current_dir(data::workspace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the simulator starts");
        let said = lines(child.stdout.take().expect("its output"));
        let notes = lines(child.stderr.take().expect("its notes"));
        let mut heard = Vec::new();
        let target = loop {
            match notes.recv_timeout(PATIENCE) {
                Ok(line) => match line.split_once("listens on ") {
                    Some((_, target)) => break target.trim().to_owned(),
                    None => heard.push(line),
                },
                Err(_) => {
                    // It may have left already.
                    let _ = child.kill();
                    panic!("the simulator does not listen: {}", heard.join("\n"));
                }
            }
        };
        Simulator { child, said, notes, target }
    }

    /// Its address, as `--to` takes it.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// A session with it, if its link is open.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn connect(&self) -> Client {
        let target: Target = self.target.parse().expect("a target");
        Client::connect(&target).expect("a device").0
    }

    /// The next JSON object that it prints.
    ///
    /// # Panics
    /// When it prints nothing for a minute, or no JSON.
    pub fn next(&self) -> serde_json::Value {
        let line = self.said.recv_timeout(PATIENCE).expect("the simulator says something");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line:?} is no JSON: {e}"))
    }

    /// The next line with these words that it prints.
    ///
    /// # Panics
    /// When none comes within a minute after another line.
    pub fn hear(&self, words: &str) -> String {
        wait(&self.said, words)
    }

    /// The next line with these words among its notes, on standard error.
    ///
    /// # Panics
    /// As [`Simulator::hear`].
    pub fn note(&self, words: &str) -> String {
        wait(&self.notes, words)
    }

    /// Asks it to stop, and gives its exit code; -1 when a signal ended it.
    ///
    /// # Panics
    /// When it cannot be asked.
    pub fn terminate(mut self) -> i32 {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(asked.expect("kill runs").success());
        self.child.wait().expect("it ends").code().unwrap_or(-1)
    }
}

fn wait(lines: &Receiver<String>, words: &str) -> String {
    let mut others = Vec::new();
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) if line.contains(words) => return line,
            Ok(line) => others.push(line),
            Err(_) => panic!("nothing about {words:?} in {others:#?}"),
        }
    }
}

/// What comes out of `from`, line by line.
fn lines(from: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    receive
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // It may have left already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
