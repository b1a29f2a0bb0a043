package mirrortest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
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

// dialer returns a function that connects from the given address to the listener at another.
func (m *memory) dialer(from netip.Addr) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		m.mu.Lock()
		l := m.listeners[address]
		m.mu.Unlock()
		refused := &net.OpError{Op: "dial", Net: network, Err: fmt.Errorf("%s: %w", address, syscall.ECONNREFUSED)}
		if l == nil {
			return nil, refused
		}
		client, server := net.Pipe()
		select {
		case l.conns <- &memoryConn{Conn: server, from: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 1))}:
			return client, nil
		case <-l.closed:
			return nil, refused
		case <-ctx.Done():
			return nil, &net.OpError{Op: "dial", Net: network, Err: context.Cause(ctx)}
		}
	}
}

// memoryConn is the server's end of a connection.
type memoryConn struct {
	net.Conn
	from net.Addr
}

func (c *memoryConn) RemoteAddr() net.Addr { return c.from }

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

// makeCertificate makes the certificate of the pair's endpoints, which signs itself. It is valid at any
// time, that of a testing/synctest bubble included.
func (p *Pair) makeCertificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Unix(0, 0), NotAfter: time.Now().AddDate(100, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	p.certificate = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	p.roots = x509.NewCertPool()
	p.roots.AddCert(parsed)
	return nil
}
