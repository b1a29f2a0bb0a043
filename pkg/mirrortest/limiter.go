package mirrortest

import (
	"fmt"
	"html"
	"net"
	"net/http"
	"time"
)

// Rate is the rate limiter in front of each cluster: Jetty's DoSFilter, as rest-utils registers it
// (observed). It counts the requests of the last second, those that it rejected included, so a client
// that keeps trying is kept out. Requests without a valid credential are not counted (assumed). The
// limiter for each tenant, which rest-utils has too, is left out, and so is the mode that throttles.
type Rate struct {
	// PerClient is how many requests a second each client address may send; 0 is any number.
	PerClient int
	// PerServer is how many a second all clients may send together; 0 is any number. What is over
	// PerClient does not count here.
	PerServer int
	// Mode is what becomes of the others; the zero value is RateReject.
	Mode RateMode
	// NoHeader leaves the header DoSFilter out, as a proxy on the way may.
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

// limiter is the state behind a Rate.
type limiter struct {
	rate    Rate
	clients map[string]*window // by address
	server  window
}

func newLimiter(r Rate) limiter {
	return limiter{rate: r, clients: map[string]*window{}, server: newWindow(r.PerServer)}
}

// over counts a request, and tells whether it is over a limit. The pair's mu is held.
func (l *limiter) over(r *http.Request, now time.Time) bool {
	address, _, _ := net.SplitHostPort(r.RemoteAddr) // "" is a client too
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

// window is the requests of the last second, as far as a limit counts them.
type window struct {
	arrivals []time.Time // as many as the limit, in a ring
	next     int         // the place of the oldest
}

func newWindow(limit int) window { return window{arrivals: make([]time.Time, limit)} }

// over counts a request at the given time, and tells whether it is over the limit.
func (w *window) over(now time.Time) bool {
	if len(w.arrivals) == 0 {
		return false
	}
	oldest := w.arrivals[w.next]
	w.arrivals[w.next] = now
	w.next = (w.next + 1) % len(w.arrivals)
	return !oldest.IsZero() && now.Sub(oldest) < limiterWindow
}

// rejected is what the rate limiter answers: Jetty's error page, as JSON where only that is accepted
// and else as HTML, with the limiter's own header and no Retry-After (observed).
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
