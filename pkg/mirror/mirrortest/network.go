package mirrortest

import (
	"context"
	"fmt"
	"net"
	"sync"
	"syscall"
)

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// memory is a network in memory. Its connections block on channels only, so that a
// testing/synctest bubble sees through them. Its addresses are on loopback, at ports where nothing
// is expected to listen, in case something dials them without it.
type memory struct {
	mu        sync.Mutex
	listeners map[string]*memoryListener
}

func (m *memory) listen() net.Listener {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := &memoryListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	l.addr = net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1 + len(m.listeners)}
	if m.listeners == nil {
		m.listeners = map[string]*memoryListener{}
	}
	m.listeners[l.addr.String()] = l
	return l
}

// dial connects to the listener at the address.
func (m *memory) dial(ctx context.Context, network, address string) (net.Conn, error) {
	m.mu.Lock()
	l := m.listeners[address]
	m.mu.Unlock()
	refused := &net.OpError{Op: "dial", Net: network, Err: fmt.Errorf("%s: %w", address, syscall.ECONNREFUSED)}
	if l == nil {
		return nil, refused
	}
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, refused
	case <-ctx.Done():
		return nil, &net.OpError{Op: "dial", Net: network, Err: context.Cause(ctx)}
	}
}

type memoryListener struct {
	addr   net.TCPAddr
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *memoryListener) Addr() net.Addr { return &l.addr }
