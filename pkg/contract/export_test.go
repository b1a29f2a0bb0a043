package contract

import "net/http"

// NewTransportFor is NewTransport with another contract.
func NewTransportFor(spec []byte, base http.RoundTripper, found func(Finding), o Options) (*Transport, error) {
	routes, err := load(spec)
	if err != nil {
		return nil, err
	}
	t, err := NewTransport(base, found, o)
	t.routes = routes
	return t, err
}
