package mirrortest

import (
	"fmt"
	"html"
	"net/http"
	"time"
)

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

// bucket is the token bucket behind a Rate.
type bucket struct {
	rate Rate
	fill float64
	last time.Time
}

// take tells whether a request comes through at the given time.
func (b *bucket) take(now time.Time) bool {
	if b.rate.PerSecond == 0 {
		return true
	}
	burst := float64(max(b.rate.Burst, 1))
	if b.last.IsZero() {
		b.fill = burst
	} else {
		b.fill = min(burst, b.fill+b.rate.PerSecond*now.Sub(b.last).Seconds())
	}
	b.last = now
	if b.fill < 1 {
		return false
	}
	b.fill--
	return true
}
