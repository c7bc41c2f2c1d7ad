//! The same device on simulated hardware: image files as camera, a file as flash, TCP as UART.
