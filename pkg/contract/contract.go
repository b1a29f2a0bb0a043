// Package contract checks real traffic against the contract, api/openapi.yaml: for tests of clients
// and servers, and for continuous integration.
//
// It is a package of its own because it links an OpenAPI parser, which users of pkg/mirror should not
// have to carry. NewTransport checks every exchange that goes through it and hands out Findings; Test
// does the same for a test, which fails on a violation, and sends nothing that would change a cluster
// beyond loopback.
//
// Beyond what the schema says there are rules that know what the members mean: every topic asked for
// is answered once, code and message go together, partitions are there once, totals add up, and more;
// see the Rule constants. Bytes are never changed, bodies are never logged, and no credential is in a
// Finding.
package contract

import (
	"fmt"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// Severity says how bad a Finding is. Its text forms are "note", "drift" and "violation".
type Severity uint8

const (
	// Note is worth knowing, and not against the contract: its own example does so, or it leaves open
	// what that means, or something could not be checked.
	Note Severity = iota
	// Drift is what real servers, and clients of them, are known to do outside the contract (observed):
	// 403, 404, 405, 413 and 415, a 429 as JSON, an error page as HTML, text or nothing, a list of
	// errors, rows without the two members about truncation, requests without Authorization. With
	// Strict it is a Violation.
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

// Finding is one thing that was found. It holds no credential and no body. Findings about one body that
// differ in their index only are one Finding.
type Finding struct {
	// Rule is the rule's id, one of the Rule constants.
	Rule string
	// Severity is how bad it is.
	Severity Severity
	// Method and Path are those of the request, without its query.
	Method, Path string
	// Number is the number of the request among all that the Transport was given, from 1.
	Number int
	// Pointer is the JSON Pointer of what it is about, in the request's body if Request is set, else in
	// the answer's; "" if it is about the whole. If Count is above 1 it is the first such place.
	Pointer string
	// Request says that it is about the request.
	Request bool
	// Status is the answer's HTTP status; 0 if there is none, because the request failed or is not checked.
	Status int
	// Detail says it in words, on one printable line.
	Detail string
	// Count is how many places of the body it is about. Counting ends at 1000 violations.
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
	// RuleRequest: the request is not as the contract has it.
	RuleRequest = "request"
	// RuleStatus: the status is not declared. As a note: the credential was refused.
	RuleStatus = "status"
	// RuleMediaType: the status is declared, and not with this media type.
	RuleMediaType = "media-type"
	// RuleSyntax: the body is not one JSON document in UTF-8.
	RuleSyntax = "syntax"
	// RuleSchema: the body is not as its schema says.
	RuleSchema = "schema"
	// RuleDuplicate: an object has a member twice.
	RuleDuplicate = "duplicate-member"
	// RuleInteger: an integer does not fit its format, or is not written as one.
	RuleInteger = "integer"
	// RuleMissing: a topic that was asked for by name has no row.
	RuleMissing = "topic-missing"
	// RuleUnasked: a row is about a topic that was not asked for by name.
	RuleUnasked = "topic-unasked"
	// RuleTwice: a topic has more than one row.
	RuleTwice = "topic-twice"
	// RuleVerdict: a row has a code without a message, or a message without a code.
	RuleVerdict = "verdict"
	// RulePartition: a partition is negative, or there twice in one list.
	RulePartition = "partition"
	// RuleLag: a lag or a last fetched offset is less than -1.
	RuleLag = "lag"
	// RuleTruncation: the total of truncated messages is not the sum of the partitions', or a
	// partition's count or offset is negative.
	RuleTruncation = "truncation"
	// RuleNext: metadata.next is set, and there is no way to get what comes next.
	RuleNext = "next"
	// RuleSelf: a self link is empty, or names another cluster or link than the request. A note.
	RuleSelf = "self"
	// RuleUnchecked: something was not checked: a body that was too long, not read to its end, or in an
	// unknown content encoding; a path that is almost the contract's, or a method that the contract does
	// not have for a path; findings beyond the first 100. A note.
	RuleUnchecked = "unchecked"
)
