package mirrortest

import (
	"context"
	"fmt"
	"net"
	"sync"
	"syscall"
)

// memory is a network in memory. Its connections block only on channels, so a testing/synctest bubble works. Its
// addresses are on loopback at ports where probably nothing listens, in case a client dials an address without the
// network.
type memory struct {
	mu        sync.Mutex
	listeners map[string]*memoryListener
}

// listen listens at an address; "" is the next free address.
func (m *memory) listen(address string) net.Listener {
	m.mu.Lock()
	defer m.mu.Unlock()
	if address == "" {
		address = fmt.Sprintf("127.0.0.1:%d", 1+len(m.listeners))
	}
	l := &memoryListener{address: address, conns: make(chan net.Conn), closed: make(chan struct{})}
	if m.listeners == nil {
		m.listeners = map[string]*memoryListener{}
	}
	m.listeners[address] = l
	return l
}

// dial connects to the listener at an address.
func (m *memory) dial(_ context.Context, network, address string) (net.Conn, error) {
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
	}
}

// memoryAddr is the address of a listener in memory.
type memoryAddr string

func (memoryAddr) Network() string  { return "memory" }
func (a memoryAddr) String() string { return string(a) }

type memoryListener struct {
	address string
	conns   chan net.Conn
	once    sync.Once
	closed  chan struct{}
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

func (l *memoryListener) Addr() net.Addr { return memoryAddr(l.address) }
