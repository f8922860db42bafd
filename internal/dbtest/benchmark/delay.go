package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"runtime"
	"sync"
	"time"
)

// delay is a TCP proxy that makes a server seem to be far away: what either side
// sends reaches the other later, by half a round trip. Each piece is late by
// itself, so that it costs nothing to send several before one is answered, and
// the pieces keep their order. It waits awake, because timers are late by up to a
// millisecond, and passing on takes some time of its own.
type delay struct {
	listener net.Listener
	server   string
	half     time.Duration

	mu    sync.Mutex
	conns []net.Conn
	done  sync.WaitGroup
}

// startDelay starts a proxy in front of a server.
func startDelay(ctx context.Context, server string, roundTrip time.Duration) (*delay, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &delay{listener: listener, server: server, half: roundTrip / 2}
	d.done.Go(d.accept)
	return d, nil
}

// dsn is the DSN of a database, a URL, by way of the proxy.
func (d *delay) dsn(direct string) (string, error) {
	u, err := url.Parse(direct)
	if err != nil {
		return "", errors.New("the DSN is no URL") // and has a password, perhaps
	}
	u.Host = d.listener.Addr().String()
	return u.String(), nil
}

// hostOf is where a DSN leads to.
func hostOf(dsn string) (string, error) {
	u, err := url.Parse(dsn)
	if err != nil || u.Hostname() == "" {
		return "", errors.New("the DSN is no URL with a host")
	}
	if u.Port() == "" {
		return net.JoinHostPort(u.Hostname(), "5432"), nil
	}
	return u.Host, nil
}

// Close ends all connections.
func (d *delay) Close() error {
	err := d.listener.Close()
	d.mu.Lock()
	for _, c := range d.conns {
		_ = c.Close()
	}
	d.mu.Unlock()
	d.done.Wait()
	return err
}

func (d *delay) accept() {
	for {
		near, err := d.listener.Accept()
		if err != nil {
			return // it is closed
		}
		far, err := net.Dial("tcp", d.server)
		if err != nil {
			_ = near.Close()
			continue
		}
		d.mu.Lock()
		d.conns = append(d.conns, near, far)
		d.mu.Unlock()
		d.pass(near, far)
		d.pass(far, near)
	}
}

// piece is what was read at once, and when it is to be passed on.
type piece struct {
	bytes []byte
	due   time.Time
}

// pass passes on, late, what one side sends.
func (d *delay) pass(from, to net.Conn) {
	pieces := make(chan piece, 1024)
	d.done.Go(func() {
		defer close(pieces)
		buf := make([]byte, 64<<10)
		for {
			n, err := from.Read(buf)
			if n > 0 {
				pieces <- piece{append([]byte(nil), buf[:n]...), time.Now().Add(d.half)}
			}
			if err != nil {
				return
			}
		}
	})
	d.done.Go(func() {
		defer func() { _ = to.Close() }()
		for p := range pieces {
			for time.Until(p.due) > 0 { // timers may be late by more than this takes
				runtime.Gosched()
			}
			if _, err := to.Write(p.bytes); err != nil {
				_ = from.Close()   // which ends the reading
				for range pieces { //nolint:revive // what cannot be passed on
				}
				return
			}
		}
	})
}

var _ io.Closer = (*delay)(nil)

func (d *delay) String() string { return fmt.Sprintf("%s a round trip", 2*d.half) }
