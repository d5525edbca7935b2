// A link on a TCP stream of the loopback, with its clock.

export const HOST = '127.0.0.1';
const TICK = 250;
const LINGER = 2_000;

// Runs a link on a socket until the stream ends. `work` takes each event, in order. `begin` gets what writes at once
// what was sent outside of that.
export function run(link, socket, work, begin = () => {}) {
  const begun = performance.now();
  const flush = () => {
    const bytes = link.take();
    if (bytes.length && socket.writable) socket.write(bytes);
    if (link.state === 'CLOSED' && socket.writable) socket.end().setTimeout(LINGER, () => socket.destroy());
  };
  const look = () => link.wait((performance.now() - begun) / 1000);
  const clock = setInterval(() => {
    look();
    flush();
  }, TICK);
  const take = (data) => {
    look();
    for (let events = link.receive(data); events.length; events = link.receive(Buffer.alloc(0))) {
      events.forEach((event) => work(event));
    }
    flush();
  };
  flush();
  begin(flush);
  return ended(link, socket, take, flush).finally(() => clearInterval(clock));
}

// After an error nothing more is read. What was ready before, and a refusal, are still sent.
function ended(link, socket, take, flush) {
  return new Promise((resolve, fail) => {
    socket.on('data', (data) => {
      try {
        take(data);
      } catch (error) {
        socket.removeAllListeners('data').unref();
        flush();
        fail(error);
      }
    });
    // Where both ends close at once, one may find the stream reset: the link is over all the same.
    socket.on('error', (error) => (link.state === 'CLOSED' ? resolve() : fail(error)));
    socket.on('close', resolve);
    socket.resume(); // a circuit was kept from reading until now
  });
}
