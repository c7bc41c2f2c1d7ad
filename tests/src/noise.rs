//! A wire that loses, changes and invents bytes.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a [`noisy`] wire has done to the bytes so far.
#[derive(Debug, Default)]
pub struct Damage {
    /// Bytes lost, changed or invented.
    pub bytes: AtomicU64,
}

/// Listens on a free port and passes one connection on to `device`, damaging about one byte in `every` in each
/// direction. The threads end with the connection.
///
/// # Panics
/// When there is no port to listen on.
pub fn noisy(device: SocketAddr, every: u32, seed: u64) -> (SocketAddr, Arc<Damage>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("its number");
    let damage = Arc::new(Damage::default());
    let done = damage.clone();
    std::thread::spawn(move || {
        let (host, _) = listener.accept().expect("the test connects");
        let device = TcpStream::connect(device).expect("the device listens");
        let back = (device.try_clone().unwrap(), host.try_clone().unwrap(), done.clone());
        std::thread::spawn(move || carry(back.0, back.1, every, seed ^ 1, &back.2));
        carry(host, device, every, seed, &done);
    });
    (address, damage)
}

fn carry(mut from: TcpStream, mut to: TcpStream, every: u32, seed: u64, damage: &Damage) {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let mut bytes = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        let mut passed = Vec::with_capacity(length);
        for &byte in &bytes[..length] {
            if dice.random_ratio(1, every) {
                damage.bytes.fetch_add(1, Ordering::Relaxed);
                match dice.random_range(0..3) {
                    0 => {}
                    1 => passed.push(byte ^ (1 << dice.random_range(0..8))),
                    _ => passed.extend([dice.random(), byte]),
                }
            } else {
                passed.push(byte);
            }
        }
        if to.write_all(&passed).is_err() {
            break;
        }
    }
    // The other direction ends with this one; either end may be gone already.
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
