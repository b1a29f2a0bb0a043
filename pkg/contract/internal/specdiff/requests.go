package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// sent is a request of the library.
type sent struct {
	request    *http.Request
	body       []byte
	path       string // of the contract
	parameters map[string]string
}

// verbs are the verbs of the library.
var verbs = []mirror.Verb{
	mirror.VerbReverseAndPause, mirror.VerbReverseAndStart, mirror.VerbPromote, mirror.VerbFailover,
	mirror.VerbPause, mirror.VerbResume, mirror.VerbTruncateAndRestore,
}

// libraryRequests returns the requests of the library: each verb, as a dry run and real, by name and by pattern, and
// each read.
func libraryRequests(ctx context.Context) ([]sent, error) {
	const cluster, link = "lkc-1", "link-1"
	topic := "Topic_1.a-Z" + strings.Repeat("t", 238) // the longest name, with each kind of character
	var all []sent
	path := ""
	errRecorded := errors.New("recorded, and not sent")
	client, err := mirror.NewClient(mirror.Config{
		Endpoint: "https://rest.example", ClusterID: cluster, Credential: mirror.APIKey("key", "secret"), RetryFor: -1,
		Transport: record(func(r *http.Request) error {
			s := sent{request: r, path: path, parameters: map[string]string{
				"cluster_id": cluster, "link_name": link, "mirror_topic_name": topic, "consumer_group_id": topic,
			}}
			if r.Body != nil {
				var err error
				if s.body, err = io.ReadAll(r.Body); err != nil {
					return err
				}
			}
			all = append(all, s)
			return errRecorded
		}),
	})
	if err != nil {
		return nil, err
	}
	many := make([]string, 500) // a batch
	for i := range many {
		many[i] = fmt.Sprintf("%s%0*d", topic[:len(topic)-3], 3, i)
	}
	many[0] = "t"
	const ofCluster = "/kafka/v3/clusters/{cluster_id}"
	const base = ofCluster + "/links/{link_name}"
	for _, verb := range verbs {
		path = base + "/mirrors:" + string(verb)
		for _, selection := range []mirror.Selection{mirror.Topics(topic), mirror.Topics(many...), mirror.All()} {
			if _, err := client.Validate(ctx, verb, link, selection); !errors.Is(err, errRecorded) {
				return nil, fmt.Errorf("a request was not sent: %w", err)
			}
			dry := all[len(all)-1]
			actual := dry
			actual.request = dry.request.Clone(ctx)
			actual.request.URL.RawQuery = strings.Replace(dry.request.URL.RawQuery, "only=true", "only=false", 1)
			all = append(all, actual)
		}
	}
	for _, read := range []struct {
		path string
		do   func() error
	}{
		{base + "/mirrors", func() error { _, err := client.Mirrors(ctx, link); return err }},
		{base + "/mirrors/{mirror_topic_name}", func() error { _, err := client.Mirror(ctx, link, topic); return err }},
		{base, func() error { _, err := client.Link(ctx, link); return err }},
		{ofCluster + "/consumer-groups/{consumer_group_id}", func() error {
			_, err := client.ConsumerGroup(ctx, topic)
			return err
		}},
	} {
		path = read.path
		if err := read.do(); !errors.Is(err, errRecorded) {
			return nil, fmt.Errorf("a request was not sent: %w", err)
		}
	}
	return all, nil
}

// record is a RoundTripper that sends nothing.
type record func(*http.Request) error

func (r record) RoundTrip(req *http.Request) (*http.Response, error) { return nil, r(req) }

// unfitRequests finds the library's requests that the other document does not allow.
func unfitRequests(ctx context.Context, theirs *openapi3.T) ([]change, error) {
	requests, err := libraryRequests(ctx)
	if err != nil {
		return nil, err
	}
	found := map[change]bool{}
	for _, s := range requests {
		item := theirs.Paths.Value(s.path)
		if item == nil || item.GetOperation(s.request.Method) == nil {
			continue // the operation is gone
		}
		s.request.Body = io.NopCloser(bytes.NewReader(s.body))
		err := openapi3filter.ValidateRequest(ctx, &openapi3filter.RequestValidationInput{
			Request: s.request, PathParams: s.parameters,
			Route: &routers.Route{
				Spec: theirs, Path: s.path, PathItem: item, Method: s.request.Method,
				Operation: item.GetOperation(s.request.Method),
			},
			Options: &openapi3filter.Options{
				AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true,
			},
		})
		if err != nil {
			text := "a request of the library is not valid: " + reasonOf(err)
			found[change{ID: "guard-request", Text: text, Level: breaks, Path: s.path}] = true
		}
	}
	return sorted(found), nil
}

// reasonOf returns a short reason why a request is not valid.
func reasonOf(err error) string {
	var request *openapi3filter.RequestError
	var schema *openapi3.SchemaError
	where := "the body"
	if errors.As(err, &request) && request.Parameter != nil {
		where = "the parameter `" + request.Parameter.Name + "`"
	}
	switch {
	case errors.As(err, &schema):
		reason := schema.Reason
		if _, after, isMore := strings.Cut(reason, "\n"); isMore { // OpenAPI 3.1 has the reason on the second line
			reason = after
		}
		return fmt.Sprintf("%s: %s: %s", where, schema.SchemaField, reason)
	case request != nil && request.Reason != "":
		return fmt.Sprintf("%s: %s", where, request.Reason)
	}
	return where
}
