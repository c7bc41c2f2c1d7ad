//! Loop, schedule, checkpoint, resume.
