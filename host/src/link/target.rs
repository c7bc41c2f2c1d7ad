//! Where people are kept: one word, one parser, everywhere.

use std::path::PathBuf;
use std::str::FromStr;

/// The speed of a serial port when none is given.
pub const DEFAULT_BAUD: u32 = 115_200;

/// A gallery file, a TCP address or a serial port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A gallery file: the image of a device's flash.
    File(PathBuf),
    /// `tcp:HOST:PORT`: a simulator, an emulator, a serial server.
    Tcp(String),
    /// `/dev/...` or `COMn`, with `@BAUD` if it is not [`DEFAULT_BAUD`].
    Serial {
        /// The port's name.
        port: String,
        /// Bits a second.
        baud: u32,
    },
}

/// A word that is no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{word:?} is no target: {why}\n  accepted: a gallery file, tcp:HOST:PORT, or a serial port as /dev/ttyACM0[@BAUD] or COM3[@BAUD]"
)]
pub struct TargetError {
    word: String,
    why: &'static str,
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(word: &str) -> Result<Self, TargetError> {
        let refuse = |why| Err(TargetError { word: word.into(), why });
        if let Some(address) = word.strip_prefix("tcp:") {
            return match address.rsplit_once(':') {
                Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                    Ok(Target::Tcp(address.into()))
                }
                _ => refuse("after tcp: come a host and a port number"),
            };
        }
        let is_com = |name: &str| {
            let number = name.strip_prefix("COM").unwrap_or("");
            !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
        };
        let (port, baud) = word.rsplit_once('@').unwrap_or((word, ""));
        if port.starts_with("/dev/") || is_com(port) {
            return match (baud, baud.parse()) {
                ("", _) if !word.contains('@') => {
                    Ok(Target::Serial { port: port.into(), baud: DEFAULT_BAUD })
                }
                (_, Ok(baud)) if baud > 0 => Ok(Target::Serial { port: port.into(), baud }),
                _ => refuse("after @ comes the speed in bits a second"),
            };
        }
        if word.is_empty() { refuse("it is empty") } else { Ok(Target::File(word.into())) }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::File(path) => write!(f, "{}", path.display()),
            Target::Tcp(address) => write!(f, "tcp:{address}"),
            Target::Serial { port, baud: DEFAULT_BAUD } => write!(f, "{port}"),
            Target::Serial { port, baud } => write!(f, "{port}@{baud}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_what_they_mean() {
        let serial = |port: &str, baud| Some(Target::Serial { port: port.into(), baud });
        let cases = [
            ("people.gallery", Some(Target::File("people.gallery".into()))),
            ("tcp:localhost:7700", Some(Target::Tcp("localhost:7700".into()))),
            ("tcp:[::1]:7700", Some(Target::Tcp("[::1]:7700".into()))),
            ("tcp:localhost", None),
            ("tcp::7700", None),
            ("tcp:localhost:70000", None),
            ("/dev/ttyACM0", serial("/dev/ttyACM0", 115_200)),
            ("/dev/ttyUSB1@921600", serial("/dev/ttyUSB1", 921_600)),
            ("/dev/ttyUSB1@fast", None),
            ("/dev/ttyUSB1@", None),
            ("COM3", serial("COM3", 115_200)),
            ("COMMON", Some(Target::File("COMMON".into()))),
            ("", None),
        ];
        for (word, expected) in cases {
            let parsed = Target::from_str(word).ok();
            assert_eq!(parsed, expected, "{word:?}");
            if let Some(target) = parsed {
                assert_eq!(target.to_string(), word);
            }
        }
    }
}
