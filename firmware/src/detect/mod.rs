//! A detector's output maps to faces with five landmarks.
