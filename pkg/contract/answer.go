package contract

import (
	"errors"
	"net/http"
)

// judgeHead checks status and media type of the answer, and tells whether there is a body to check.
func (x *exchange) judgeHead(status int, h http.Header) bool {
	if x.operation == nil {
		return false
	}
	j := x.t.judge(false, status)
	defer func() { x.t.out.send(j.all()) }()
	mediaType := mediaTypeOf(h)
	response := x.operation.Responses.Status(status)
	switch {
	case response == nil:
		j.about(RuleStatus, headSeverity(status, mediaType), "the status %d is not declared", status)
	case response.Value.Content[mediaType] == nil:
		j.about(RuleMediaType, headSeverity(status, mediaType), "the status %d is not declared with %s",
			status, nameOf(mediaType))
	default:
		return mediaType == jsonType
	}
	return false
}

// headSeverity says how bad a status, or its media type, is that the contract does not have: real
// servers are known to answer in some such ways, and gateways with pages of their own (observed).
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

// judgeAnswer checks the answer's body.
func (x *exchange) judgeAnswer(status int, h http.Header, received *capture, length int64) {
	j := x.t.judge(false, status)
	defer func() { x.t.out.send(j.all()) }()
	body, whole, over := received.get(length)
	if over {
		j.unchecked(errTooLong)
		return
	}
	body, err := decode(h, body, x.t.options.MaxBody)
	if errors.Is(err, errEncoding) || errors.Is(err, errTooLong) || err != nil && whole {
		j.unchecked(err)
		return
	}
	err = x.judgeDocument(j, status, body)
	switch {
	case err == nil, errors.Is(err, errEnough): // it is not looked at any further then
		x.t.checked.Add(1)
	case errors.Is(err, errTooDeep):
		*j = *x.t.judge(false, status) // it may be no document
		j.unchecked(err)
	case !whole:
		*j = *x.t.judge(false, status) // what was found may come of where it was cut
		j.about(RuleUnchecked, Note, "the body was not read to its end")
	default:
		x.t.checked.Add(1)
		*j = *x.t.judge(false, status)
		j.about(RuleSyntax, Violation, "the body is not one JSON document in UTF-8")
	}
}

// judgeDocument checks a body as a JSON document. It fails as reader.read does.
func (x *exchange) judgeDocument(j *judge, status int, body []byte) error {
	r := reader{judge: j}
	if status >= 400 {
		root, err := r.read(body, x.t.shapes.failed)
		if err == nil {
			judgeFailure(j, root, x.t.shapes.failed)
		}
		return err
	}
	m := meaning{
		judge: j, asked: x.asked, hasRow: map[string]bool{}, parameters: x.parameters,
		truncates: x.operation.Parameters.GetByInAndName("query", "include_partition_level_truncation_data") != nil,
	}
	name, isAlone := x.parameters["mirror_topic_name"]
	if isAlone {
		m.asked = []string{name}
	} else {
		r.row = m.row
	}
	for _, name := range m.asked {
		m.hasRow[name] = false
	}
	root, err := r.read(body, x.t.shapes.of[x.operation.Responses.Status(status).Value.Content[jsonType].Schema.Value])
	if err != nil {
		return err
	}
	if isAlone {
		m.row(root)
	}
	m.whole(root)
	return nil
}

// judgeFailure checks which of the known shapes the answer to a failed request has. The servlet
// container's page has the members url, status, message, servlet, cause0 and so on, all of them text.
func judgeFailure(j *judge, root *tree, declared *shape) {
	if errs := root.get(errorsMember); errs.isSet() {
		_ = j.at(RuleSchema, Drift, errs, "it is a list of errors, as the cloud's services answer")
	}
	severity, detail := Violation, "the member is not declared"
	if root.hasText("url") && root.hasText("status") && root.hasText("message") && !root.get("error_code").isSet() {
		severity, detail = Drift, "the member is of the servlet container's own page"
	}
	for _, m := range root.children {
		if _, known := declared.property(m.name); !known && root.kind == '{' {
			_ = j.at(RuleSchema, severity, m, "%s", detail)
		}
	}
}
