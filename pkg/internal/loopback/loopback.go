// Package loopback tells whether a host is this machine. It is a package of its own because the client
// and the contract checks must agree on it.
package loopback

import "net"

// Is tells whether a host, without a port, is on loopback for certain: a loopback address, or
// localhost as it is written here. For any other name, localhost in capitals or with a dot at its
// end included, Go may ask a proxy or the resolver.
func Is(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}
