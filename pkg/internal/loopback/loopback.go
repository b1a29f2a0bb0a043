// Package loopback reports whether a host is this machine. The client and the contract checks share the package because
// both must agree.
package loopback

import "net"

// Is reports whether a host without a port is certainly on loopback: a loopback address or exactly "localhost". For any
// other name, such as LOCALHOST or "localhost.", Go may ask a proxy or the resolver.
func Is(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}
