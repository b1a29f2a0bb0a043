// Package loopback tells whether a host is this machine. It is a package of its own because the client
// and the contract checks must agree on it.
package loopback

import (
	"net"
	"strings"
)

// Is tells whether a host, without a port, is on loopback for certain: a loopback address, or
// localhost. Other names that end in localhost are not: Go asks the resolver for them.
func Is(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") || ip != nil && ip.IsLoopback()
}
