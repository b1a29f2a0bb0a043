// Package contract checks real traffic against the contract, api/openapi.yaml. Use the package in tests of clients
// and servers, and in continuous integration.
//
// The package is separate because it links an OpenAPI parser, which users of pkg/mirror should not have to carry.
// NewTransport checks every exchange of a client and reports Findings. Test does the same for a test. The test fails
// on a violation, and sends nothing beyond loopback that would change a cluster.
//
// Further rules know the meaning of the members: every topic of the request has one row, code and message go
// together, each partition appears once, totals add up, and more. See the Rule constants. The package never changes a
// byte and never logs a body. A Finding has no credential.
package contract

import (
	"fmt"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// Severity is the severity of a Finding. Its text forms are "note", "drift" and "violation".
type Severity uint8

const (
	// Note is worth knowing, and not against the contract. The contract's own example does the same, the contract
	// leaves the meaning open, or something could not be checked.
	Note Severity = iota
	// Drift is outside the contract, but known from real servers and their clients (observed): 403, 404, 405, 413 and
	// 415, a 429 as JSON, an error page as HTML, text or nothing, a list of errors, rows without the two members
	// about truncation, requests without Authorization. Options.Strict makes a Drift a Violation.
	Drift
	// Violation is against the contract.
	Violation
)

// String returns the severity's name.
func (s Severity) String() string {
	if names := [...]string{"note", "drift", "violation"}; int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("severity(%d)", uint8(s))
}

// Finding is one finding about a request or a response. It holds no credential and no body. Findings about one body
// that differ only in an index are one Finding.
type Finding struct {
	// Rule is one of the Rule constants.
	Rule string
	// Severity is the severity of the finding.
	Severity Severity
	// Method and Path are from the request. Path has no query.
	Method, Path string
	// Number counts the requests of the Transport, from 1.
	Number int
	// Pointer is a JSON Pointer into the request's body if Request is set, else into the response's body. It is "" if
	// the finding is about the whole. If Count is above 1, Pointer is the first place.
	Pointer string
	// Request is true if the finding is about the request.
	Request bool
	// Status is the HTTP status of the response. It is 0 if the request failed or is not checked.
	Status int
	// Detail describes the finding on one printable line.
	Detail string
	// Count is the number of places in the body. Counting ends at 1000 violations.
	Count int
}

// String returns the finding on one printable line.
func (f Finding) String() string {
	where := fmt.Sprintf("answer %d", f.Status)
	if f.Request {
		where = "request"
	}
	if f.Pointer != "" {
		where += " at " + text.Line(f.Pointer, 256)
	}
	line := fmt.Sprintf("%v %s: request %d, %s %s: %s: %s", f.Severity, f.Rule, f.Number,
		text.Line(f.Method, 16), text.Line(f.Path, 256), where, f.Detail)
	if f.Count > 1 {
		line += fmt.Sprintf(" (the first of %d)", f.Count)
	}
	return line
}

// The rules.
const (
	// RuleRequest: the request does not follow the contract.
	RuleRequest = "request"
	// RuleStatus: the status is not declared. As a note: the credential was refused.
	RuleStatus = "status"
	// RuleMediaType: the status is declared, but not with this media type.
	RuleMediaType = "media-type"
	// RuleSyntax: the body is not one JSON document in UTF-8.
	RuleSyntax = "syntax"
	// RuleSchema: the body does not match its schema.
	RuleSchema = "schema"
	// RuleDuplicate: an object has a member twice.
	RuleDuplicate = "duplicate-member"
	// RuleInteger: an integer does not fit its format, or is not written as an integer.
	RuleInteger = "integer"
	// RuleMissing: a topic that the request named has no row.
	RuleMissing = "topic-missing"
	// RuleUnasked: a row is about a topic that the request did not name.
	RuleUnasked = "topic-unasked"
	// RuleTwice: a topic has more than one row.
	RuleTwice = "topic-twice"
	// RuleVerdict: a row has a code without a message, or a message without a code.
	RuleVerdict = "verdict"
	// RulePartition: a partition is negative, or appears twice in a list.
	RulePartition = "partition"
	// RuleLag: a lag or a last fetched offset is less than -1.
	RuleLag = "lag"
	// RuleTruncation: the total of truncated messages is not the sum over the partitions, or a count or an offset of
	// a partition is negative.
	RuleTruncation = "truncation"
	// RuleNext: metadata.next is set, but no request can get the next page.
	RuleNext = "next"
	// RuleSelf: a self link is empty, or names another cluster or link than the request. A note.
	RuleSelf = "self"
	// RuleUnchecked: something was not checked. A note, about one of these: a body that is too long, not read to its
	// end, or in an unknown content encoding; a path that almost matches the contract; a method that the contract
	// does not have for a path; findings beyond the first 100.
	RuleUnchecked = "unchecked"
)
