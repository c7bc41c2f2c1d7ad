//! Files of the host, read through semihosting. The crate's own functions panic where the host misbehaves.

use core::ffi::CStr;

use semihosting::fd::RawFd;
use semihosting::sys::arm_compat::syscall::{
    OperationNumber, ParamRegR, ParamRegW, syscall, syscall_readonly,
};
use semihosting::sys::arm_compat::{OpenMode, sys_close};

/// A file that is open to be read; closed when dropped.
#[derive(Debug)]
pub struct File(RawFd);

impl File {
    /// Opens a file; `None` when it is not there, or not to be read.
    pub fn open(path: &CStr) -> Option<Self> {
        let mode = OpenMode::RDONLY_BINARY as usize;
        let block = [ParamRegR::c_str(path), ParamRegR::usize(mode), ParamRegR::c_str_len(path)];
        // SAFETY: the block is what this operation takes, and the path lives as long.
        let opened = unsafe { syscall_readonly(OperationNumber::SYS_OPEN, ParamRegR::block(&block)) };
        opened.raw_fd().map(File)
    }

    /// Reads as many bytes as there is room for; `None` when the file ends before, or cannot be read.
    pub fn fill(&mut self, out: &mut [u8]) -> Option<()> {
        let length = out.len();
        let mut block = [ParamRegW::raw_fd(self.0), ParamRegW::buf(out), ParamRegW::usize(length)];
        // SAFETY: the block is what this operation takes, which writes at most `length` bytes to the buffer.
        let missing = unsafe { syscall(OperationNumber::SYS_READ, ParamRegW::block(&mut block)) };
        (missing.usize() == 0).then_some(())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: it is this one's alone. Nobody is left to be told of an error.
        let _ = unsafe { sys_close(self.0) };
    }
}
