package contract

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/getkin/kin-openapi/openapi3"
)

// judgeHead checks the status and the media type of the response, and returns whether there is a body to check.
func (x *exchange) judgeHead(status int, h http.Header) bool {
	j := x.judge(false, status)
	defer func() { x.t.out.send(j.all()) }()
	mediaType := mediaTypeOf(h)
	response := x.operation.Responses.Status(status)
	if response == nil {
		response = x.operation.Responses.Default()
	}
	undeclared := fmt.Sprintf("was answered %d as %s, which the contract does not declare", status, nameOf(mediaType))
	switch {
	case response == nil:
		j.whole(RuleStatus, headSeverity(status, mediaType), "the status %d is not declared", status)
		x.t.ended(undeclared)
		return false
	case contentOf(response.Value.Content, mediaType) == nil && (mediaType != "" || len(response.Value.Content) > 0):
		j.whole(RuleMediaType, headSeverity(status, mediaType), "the status %d is not declared with %s",
			status, nameOf(mediaType))
		x.t.ended(undeclared)
		return false
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		j.whole(RuleStatus, Note, "the credential was refused, so nothing behind it was checked")
	}
	x.answer = response.Value.Content
	if mediaType != jsonType {
		x.t.ended("")
	}
	return mediaType == jsonType
}

// headSeverity returns the severity of a status or a media type that the contract does not declare. Some of these are
// known from real servers and from gateways with their own pages (observed).
func headSeverity(status int, mediaType string) Severity {
	switch status {
	case http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge,
		http.StatusUnsupportedMediaType:
		return Drift
	}
	switch mediaType {
	case "", "text/html", "text/plain":
		if status >= 400 {
			return Drift
		}
	case jsonType:
		if status == http.StatusTooManyRequests {
			return Drift
		}
	}
	return Violation
}

// judgeAnswer checks the body of the response.
func (x *exchange) judgeAnswer(status int, h http.Header, received *capture, length int64) {
	j := x.judge(false, status)
	defer func() { x.t.out.send(j.all()) }()
	body, whole, over := received.get(length)
	if over {
		x.unchecked(j, errTooLong)
		return
	}
	body, err := decode(h, body, x.t.options.MaxBody)
	if errors.Is(err, errEncoding) || errors.Is(err, errTooLong) || err != nil && whole {
		x.unchecked(j, err)
		return
	}
	err = x.judgeDocument(j, status, body)
	if err == nil || errors.Is(err, errEnough) { // the rest is not checked
		x.t.ended("")
		return
	}
	*j = *x.judge(false, status) // the body may not be JSON, and the findings may come from a cut
	switch {
	case errors.Is(err, errTooDeep):
		x.unchecked(j, err)
	case !whole:
		j.whole(RuleUnchecked, Note, "the body was not read to its end")
		x.t.ended("got an answer that was not read to its end")
	default:
		x.t.ended("")
		j.whole(RuleSyntax, Violation, "the body is not one JSON document in UTF-8")
	}
}

// unchecked notes why the body of the response was not checked.
func (x *exchange) unchecked(j *judge, err error) {
	j.unchecked(err)
	x.t.ended("got an answer that could not be checked")
}

// judgeDocument checks a body as a JSON document. Its errors are the errors of reader.read.
func (x *exchange) judgeDocument(j *judge, status int, body []byte) error {
	r := reader{judge: j}
	if status >= 400 {
		root, err := r.read(body)
		if single := schemaOf(x.answer); err == nil && single != nil {
			err = j.schema(root, failed(single))
			judgeFailure(j, root, failed(single))
		}
		return err
	}
	m := meaning{
		judge: j, asked: x.asked, hasRow: map[string]bool{}, parameters: x.parameters, isVerb: x.verb != "",
		truncates: x.operation.Parameters.GetByInAndName("query", "include_partition_level_truncation_data") != nil,
	}
	schema, rowSchema := cut(schemaOf(x.answer))
	name, isAlone := x.parameters["mirror_topic_name"]
	if isAlone {
		m.asked = []string{name}
	} else {
		r.keepRows = rowSchema == nil
		r.row = func(row *tree) error {
			m.row(row)
			return j.schema(row, rowSchema)
		}
	}
	for _, name := range m.asked {
		m.hasRow[name] = false
	}
	root, err := r.read(body)
	if err != nil {
		return err
	}
	if isAlone {
		m.row(root)
	}
	m.whole(root)
	return j.schema(root, schema)
}

// judgeFailure checks the shape of the response to a failed request. The servlet container's page has text members
// only: url, status, message, servlet, cause0 and so on.
func judgeFailure(j *judge, root *tree, declared *openapi3.Schema) {
	if errs := root.get(errorsMember); errs.isSet() {
		_ = j.at(RuleSchema, Drift, errs, "it is a list of errors, as the cloud's services answer")
	}
	severity, detail := Violation, "the member is not declared"
	if root.hasText("url") && root.hasText("status") && root.hasText("message") && !root.get("error_code").isSet() {
		severity, detail = Drift, "the member is of the servlet container's own page"
	}
	for _, m := range root.children {
		if root.kind == '{' && !declares(declared, m.name) {
			_ = j.at(RuleSchema, severity, m, "%s", detail)
		}
	}
}
