//! From angles to an answer: Known, Unknown or Rejected.
