//! The fan-out program on monoio, with the ring that the server's cores have.

use std::io;
use std::net::TcpListener;
use std::rc::Rc;

use bytes::Bytes;
use monoio::buf::IoBufMut as _;
use monoio::io::{AsyncReadRent, AsyncWriteRentExt as _};
use monoio::net::TcpStream;
use rustix::net::sockopt::set_socket_send_buffer_size;
use thalweg::rt::{self, Driver};

use super::SEND_BUFFER_BYTES;
use super::tasks::{Feed, Socket};
use crate::Failure;

pub(crate) fn fanout(listener: TcpListener) -> Result<(), Failure> {
    rt::block_on(Driver::IoUring, async {
        // What it accepts inherits the size.
        set_socket_send_buffer_size(&listener, SEND_BUFFER_BYTES)?;
        listener.set_nonblocking(true)?;
        let listener = monoio::net::TcpListener::from_std(listener)?;
        let feed = Feed::new();
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            monoio::spawn(Rc::clone(&feed).serve(stream));
        }
    })?
}

impl Socket for TcpStream {
    async fn read(&mut self, buf: Vec<u8>) -> io::Result<Vec<u8>> {
        let begin = buf.len();
        let (read, slice) = AsyncReadRent::read(self, buf.slice_mut(begin..)).await;
        read.map(|_| slice.into_inner())
    }

    async fn write(&mut self, bytes: Bytes) -> io::Result<()> {
        self.write_all(bytes).await.0.map(drop)
    }
}
