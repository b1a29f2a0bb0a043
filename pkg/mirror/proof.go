package mirror

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// classify says what a response proves that is not a readable 200, and whether a dry run or a
// rejected request may be sent again. This is the whole table, which the package documentation repeats; what it does
// not list proves nothing.
func classify(resp *http.Response, body io.Reader, hide *redactor) verdict {
	p := readPage(resp, body, hide)
	e := p.apiError(resp, hide)
	v := verdict{outcome: Unknown, err: e, api: e}
	untouched := false // assumed, where nothing else is said
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect,
		http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusProxyAuthRequired, http.StatusLengthRequired,
		http.StatusRequestURITooLong, http.StatusUnsupportedMediaType, http.StatusExpectationFailed,
		http.StatusUnprocessableEntity, http.StatusUpgradeRequired, http.StatusPreconditionRequired,
		http.StatusRequestHeaderFieldsTooLarge, http.StatusNetworkAuthenticationRequired:
		untouched = true
	case http.StatusMisdirectedRequest: // by RFC 9110, 15.5.20
		v.outcome = Untouched
	case http.StatusBadRequest:
		// 40002 can wrap an error of unknown origin, after dispatch.
		untouched = p.hasCodesWithout40002() || p.isBadMessage()
	case http.StatusUnauthorized:
		untouched, v.retry = true, unauthenticated
	case http.StatusForbidden:
		// As HTML it can come from a firewall, after the server was done.
		untouched = p.whole && !p.isHTML()
	case http.StatusRequestEntityTooLarge:
		// With a code it comes from Kafka's error mapper, after dispatch.
		untouched = p.whole && e.Code == 0 && !bytes.Contains(p.text, []byte("error_code"))
	case http.StatusTooManyRequests:
		switch said := doSFilter(resp.Header); {
		case said.unavailable: // rejected before dispatch
			v.outcome, v.retry, e.rateLimited = Untouched, rejected, true
		case !said.anything && p.isJettys429():
			// The limiter's page without its header: a strong sign, but anything that calls
			// sendError(429) writes the same bytes.
			v.retry = rejected
		}
	}
	if untouched {
		v.outcome, v.assumed = Untouched, true
	}
	if v.retry == final && v.outcome == Unknown && canPass(resp.StatusCode) {
		v.retry = maybeDone
	}
	return v
}

// canPass tells whether what the status says may be over the next time.
func canPass(status int) bool {
	return status >= 500 || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests
}

// filterHeader is what the rate limiter, Jetty's DoSFilter, says of a request.
type filterHeader struct {
	anything    bool
	unavailable bool   // it rejected the request
	letThrough  bool   // it let the request through, over the limit: after a delay, or when others were done
	known       string // the values that are known, for the log
}

// doSFilter reads the header DoSFilter. Only unavailable says that the request was rejected; delayed
// and throttled stand on what was let through.
func doSFilter(h http.Header) filterHeader {
	values := h.Values("DoSFilter")
	said := filterHeader{anything: len(values) > 0}
	var known []string
	for value := range strings.SplitSeq(strings.Join(values, ","), ",") {
		switch value = strings.TrimSpace(value); value {
		case "unavailable", "delayed", "throttled":
			if !slices.Contains(known, value) {
				known = append(known, value)
			}
		}
	}
	said.unavailable = slices.Contains(known, "unavailable")
	said.letThrough = len(known) > 0 && !said.unavailable
	said.known = strings.Join(known, ", ")
	return said
}

// gatewayAttempts returns the value of x-envoy-attempt-count, with which a gateway says how often it
// has sent the request, if that is more than once; else "".
func gatewayAttempts(h http.Header) string {
	for value := range strings.SplitSeq(strings.Join(h.Values("X-Envoy-Attempt-Count"), ","), ",") {
		digits := strings.TrimLeft(strings.TrimSpace(value), "0")
		if digits != "" && digits != "1" && strings.Trim(digits, "0123456789") == "" {
			if len(digits) > 3 {
				return "999+"
			}
			return digits
		}
	}
	return ""
}

// retryClass says why a batch may be sent again. The library finds it itself, from what came on the
// wire; it is never read out of an error that somebody else returned.
type retryClass uint8

const (
	final           retryClass = iota
	notSent                    // provably not sent, for a cause that can pass
	rejected                   // by the rate limiter
	unauthenticated            // a 401: once, if the credential has another header by then
	maybeDone                  // no certain response: a dry run, which changes nothing, may be repeated
)

func (v verdict) retryAfter() time.Duration {
	if v.api == nil {
		return 0
	}
	return v.api.RetryAfter
}

// verdict is what one attempt proves about the topics that no row of the answer is about, and
// whether the batch may be sent again.
type verdict struct {
	outcome Outcome
	err     error     // nil if a 200 was read to its end
	api     *APIError // the response that err is about, if it is about one
	assumed bool      // the outcome rests on an assumption, not on proof
	retry   retryClass
	// sameCredential says that nothing was sent, for the credential is still the one that got a 401.
	sameCredential bool
	// sentTwice says why the request may have been processed before it was refused; "" if nothing
	// says so.
	sentTwice string
	doubtful  bool // it was a refusal before that was known
}

// doubt turns a refusal into an unknown outcome, for the given reason.
func (v *verdict) doubt(why string) {
	if v.err != nil && v.outcome == Untouched {
		v.outcome, v.assumed, v.doubtful = Unknown, false, true
		v.err = joined(v.err, cause(why+", so it may have been processed", nil))
	}
}
