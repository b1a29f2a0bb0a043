package mirrortest

import (
	"bytes"
	"crypto/subtle"
	"io"
	"net/http"
	"strings"
	"time"
)

const maxBody = 16 << 20

// ServeHTTP answers one request like the real server, as far as known.
func (c *Cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler) // the client broke off
	}
	if c.isSilent() {
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}
	a, fault, topics := c.answer(r, body)
	if a.over {
		c.limits.delay(w.Header())
	}
	c.takeTime(topics)
	w.Header().Set("Date", c.now().UTC().Format(http.TimeFormat))
	if c.pair.opts.NoDate {
		w.Header()["Date"] = nil
	}
	r.Body = io.NopCloser(bytes.NewReader(body)) // for a Handle function
	a.send(w, r, fault)
}

// answer carries out the request with the fault that acts, and records the request, all under the pair's mu.
func (c *Cluster) answer(r *http.Request, body []byte) (a response, fault *Fault, topics int) {
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	entry := Request{
		Cluster: c.ID, At: time.Now(), Method: r.Method, URI: r.RequestURI,
		Header: redacted(r.Header), Body: string(body),
	}
	defer func() {
		entry.HTTPStatus = a.status
		if fault != nil && !fault.Do.proper() {
			entry.HTTPStatus = fault.Do.status
		}
		c.pair.requests = append(c.pair.requests, entry)
	}()

	if refused := c.authenticate(r.Header); refused != nil {
		return *refused, nil, 0
	}
	over := c.limits.over(r, time.Now())
	if rate := c.limits.rate; over && rate.Mode == RateReject {
		return rejected(r, !rate.NoHeader), nil, 0
	}
	defer func() { a.over = over }()
	q, refused := c.read(r, body)
	fault = c.trigger(q, r.Method == http.MethodGet)
	if refused != nil {
		return *refused, fault, 0
	}
	if r.Method == http.MethodGet {
		return c.tell(q, fault), fault, 0
	}
	entry.Verb, entry.ValidateOnly, entry.Topics = q.verb, q.validateOnly, q.topics
	a, entry.Applied = c.alter(q, fault)
	return a, fault, len(q.topics)
}

// takeTime sleeps for the time that the Options add to an answer about so many topics. The change is already applied.
func (c *Cluster) takeTime(topics int) {
	o := c.pair.opts
	if work := time.Duration(topics) * o.PerTopic; work > 0 {
		c.busy <- struct{}{}
		time.Sleep(work)
		<-c.busy
	}
	latency := o.Latency[0]
	if spread := o.Latency[1] - o.Latency[0]; spread > 0 {
		c.pair.mu.Lock()
		latency += time.Duration(c.draw.Int64N(int64(spread)))
		c.pair.mu.Unlock()
	}
	time.Sleep(latency)
}

func redacted(h http.Header) http.Header {
	h = h.Clone()
	for i, value := range h["Authorization"] {
		scheme, _, _ := strings.Cut(value, " ")
		h["Authorization"][i] = scheme + " (redacted)"
	}
	return h
}

// authenticate checks the credential; nil means valid.
func (c *Cluster) authenticate(h http.Header) *response {
	scheme, value, _ := strings.Cut(h.Get("Authorization"), " ")
	switch {
	case strings.EqualFold(scheme, "Basic"):
		r := http.Request{Header: h}
		key, secret, _ := r.BasicAuth()
		ownKey, ownSecret := c.APIKey()
		if subtle.ConstantTimeCompare([]byte(secret), []byte(ownSecret)) == 1 {
			switch key {
			case ownKey:
				return nil
			case "forbidden-key":
				return failure(http.StatusForbidden, 40301, "Authorization failed")
			}
		}
	case strings.EqualFold(scheme, "Bearer"):
		if pool, known := c.tokens[value]; known && (pool == "" || pool == h.Get("Confluent-Identity-Pool-Id")) {
			return nil
		}
	}
	if c.pair.opts.NoCredential {
		return nil
	}
	return failure(http.StatusUnauthorized, 40101, "Authentication failed")
}
