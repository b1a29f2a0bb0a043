package wire

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Proof says what an exchange proves about the requested work.
type Proof uint8

const (
	// Nothing means no proof: the work may have been done.
	Nothing Proof = iota
	// NotDone says that the server did none of the work.
	NotDone
	// Answered says that the answer was read to its end. The answer says what was done.
	Answered
)

// prove says what a response without an answer proves and whether the request may be sent again. A response outside
// this table proves nothing. taken says that something of the request's body was taken.
func (e *Evidence) prove(h http.Header, p page, taken, proofOnly bool) {
	limiter := elements(h, "DoSFilter") // Jetty's rate limiter: only unavailable says that it rejected the request
	e.RateLimited = e.Status == http.StatusTooManyRequests && slices.Contains(limiter, "unavailable")
	if e.Status >= 500 || e.Status == http.StatusRequestTimeout || e.Status == http.StatusTooManyRequests {
		e.retry = lost
	}
	switch e.Status {
	case http.StatusTooManyRequests:
		switch {
		case e.RateLimited: // rejected before dispatch
			e.Proof, e.retry = NotDone, rejected
		case len(limiter) == 0 && p.whole && !p.contains(`"error_code"`) && !proofOnly:
			e.retry = rejected // very likely a gateway's, but the work may have been done
		}
	case http.StatusUnauthorized:
		e.Proof, e.Assumed, e.retry = NotDone, true, refused
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect,
		http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusProxyAuthRequired,
		http.StatusUnsupportedMediaType, http.StatusMisdirectedRequest:
		e.Proof, e.Assumed = NotDone, true
	case http.StatusBadRequest, http.StatusForbidden:
		// 40002 can wrap an error of unknown origin, after dispatch. A page that is no JSON object can come from a
		// gateway or a firewall and hide the server's response.
		if p.isObject() && !p.contains("40002") {
			e.Proof, e.Assumed = NotDone, true
		}
	}
	if !taken && e.Status != http.StatusOK { // the response came first, such as a 408 on a new connection
		e.Proof, e.Assumed = NotDone, false
		if e.retry == lost {
			e.retry = notSent
		}
	}
}

// gatewayAttempts returns how often a gateway sent the request, by the header x-envoy-attempt-count; 1 without the
// header.
func gatewayAttempts(h http.Header) int {
	most := 1
	for _, value := range elements(h, "X-Envoy-Attempt-Count") {
		n, _ := strconv.Atoi(value) // a number out of range is the largest, and no number is 0
		most = max(most, n)
	}
	return most
}

// elements returns the elements of a header that is a list.
func elements(h http.Header, name string) (list []string) {
	for _, value := range h.Values(name) {
		for element := range strings.SplitSeq(value, ",") {
			list = append(list, strings.TrimSpace(element))
		}
	}
	return list
}
