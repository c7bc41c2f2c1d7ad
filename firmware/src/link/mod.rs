//! Messages, framing and sessions between host and device.
