package mirrortest

import (
	"fmt"
	"html"
	"net"
	"net/http"
	"time"
)

// Rate is the rate limiter of each cluster: Jetty's DoSFilter, as rest-utils registers the filter (observed). The
// limiter counts the requests of the last second, including rejected requests, so a client that keeps trying stays
// blocked. Requests without a valid credential are not counted (assumed). The limiter for each tenant in rest-utils
// is left out, and so is the mode that throttles.
type Rate struct {
	// PerClient is the number of requests a second from each client address; 0 is any number.
	PerClient int
	// PerServer is the number of requests a second from all clients together; 0 is any number. Requests over
	// PerClient do not count here.
	PerServer int
	// Mode is what becomes of the others; the zero value is RateReject.
	Mode RateMode
	// NoHeader removes the header DoSFilter, as a proxy may.
	NoHeader bool
}

// RateMode is what a rate limiter does with a request that is over the limit.
type RateMode uint8

// The modes. Over the limit means that there were as many requests as it allows in the second before.
const (
	// RateReject rejects it: a 429 with Jetty's page, and DoSFilter: unavailable.
	RateReject RateMode = iota
	// RateDelay lets it through after 100 ms, with DoSFilter: delayed.
	RateDelay
)

// What rest-utils and Jetty set where nobody sets anything else (observed).
const (
	limiterWindow = time.Second
	limiterDelay  = 100 * time.Millisecond
)

// limiter is the state of a Rate.
type limiter struct {
	rate    Rate
	clients map[string]*window // by address
	server  window
}

func newLimiter(r Rate) limiter {
	return limiter{rate: r, clients: map[string]*window{}, server: newWindow(r.PerServer)}
}

// over counts a request and returns whether the request is over a limit. The pair's mu is held.
func (l *limiter) over(r *http.Request, now time.Time) bool {
	address, _, _ := net.SplitHostPort(r.RemoteAddr) // without an address, "" is the client
	if l.clients[address] == nil {
		w := newWindow(l.rate.PerClient)
		l.clients[address] = &w
	}
	return l.clients[address].over(now) || l.server.over(now)
}

// delay waits as long as a request over the limit has to, and says so in the header.
func (l *limiter) delay(h http.Header) {
	if !l.rate.NoHeader {
		h.Set("DoSFilter", "delayed")
	}
	time.Sleep(limiterDelay)
}

// window holds the latest requests, at most as many as the limit.
type window struct {
	arrivals []time.Time // as many as the limit, in a ring
	next     int         // the index of the oldest
}

func newWindow(limit int) window { return window{arrivals: make([]time.Time, limit)} }

// over counts a request at the given time and returns whether the request is over the limit.
func (w *window) over(now time.Time) bool {
	if len(w.arrivals) == 0 {
		return false
	}
	oldest := w.arrivals[w.next]
	w.arrivals[w.next] = now
	w.next = (w.next + 1) % len(w.arrivals)
	return !oldest.IsZero() && now.Sub(oldest) < limiterWindow
}

// rejected returns the rate limiter's answer: Jetty's error page with the limiter's own header and without
// Retry-After (observed). The page is JSON if the client accepts only JSON, else HTML.
func rejected(r *http.Request, header bool) response {
	const status = http.StatusTooManyRequests
	a := response{status: status, header: http.Header{}}
	if header {
		a.header.Set("DoSFilter", "unavailable")
	}
	path, reason := html.EscapeString(r.URL.Path), http.StatusText(status)
	if r.Header.Get("Accept") == "application/json" {
		a.header.Set("Content-Type", "application/json")
		a.body = fmt.Appendf(nil, "{\n\"servlet\":\"default\",\n\"message\":%q,\n\"url\":%q,\n\"status\":\"%d\"\n}",
			reason, path, status)
		return a
	}
	a.header.Set("Content-Type", "text/html;charset=iso-8859-1")
	a.body = fmt.Appendf(nil, `<html>
<head>
<meta http-equiv="Content-Type" content="text/html;charset=ISO-8859-1"/>
<title>Error %[1]d %[2]s</title>
</head>
<body><h2>HTTP ERROR %[1]d %[2]s</h2>
<table>
<tr><th>URI:</th><td>%[3]s</td></tr>
<tr><th>STATUS:</th><td>%[1]d</td></tr>
<tr><th>MESSAGE:</th><td>%[2]s</td></tr>
<tr><th>SERVLET:</th><td>default</td></tr>
</table>

</body>
</html>
`, status, reason, path)
	return a
}
