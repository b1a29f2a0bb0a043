// Specdiff compares another OpenAPI document with the contract and says, in plain words, what it would
// mean for this library: what is breaking, what is harmless, and what is known already. It looks at
// the operations of the contract, however many the other document has.
//
// It exits with 0 if nothing is breaking, with 1 if something is, and with 2 if the documents could not
// be compared.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/seed25095279/clusterlink-go/api"
	"github.com/seed25095279/clusterlink-go/pkg/internal/printable"
)

const maxSpec = 64 << 20 // bytes

func main() {
	oasdiff := flag.String("oasdiff", "", "the command line of oasdiff")
	flag.Parse()
	if flag.NArg() != 1 || *oasdiff == "" {
		fmt.Fprintln(os.Stderr, "usage: specdiff -oasdiff COMMAND FILE-OR-URL")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	breaking, err := run(ctx, os.Stdout, strings.Fields(*oasdiff), flag.Arg(0))
	stop()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "specdiff:", err)
		os.Exit(2)
	case breaking:
		os.Exit(1)
	}
}

// change is one difference, as oasdiff reports it or a guard finds it.
type change struct {
	ID    string `json:"id"`
	Text  string `json:"text"`
	Level int    `json:"level"` // 3 is an error, 2 a warning, 1 information
	Path  string `json:"path"`  // of the operation; "" for a change of the whole document
}

func run(ctx context.Context, w io.Writer, oasdiff []string, spec string) (breaking bool, err error) {
	dir, err := os.MkdirTemp("", "specdiff")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	text, err := fetch(ctx, spec)
	if err != nil {
		return false, err
	}
	ours, theirs := filepath.Join(dir, "contract.yaml"), filepath.Join(dir, "other.yaml")
	levels := filepath.Join(dir, "severities.txt")
	for name, content := range map[string][]byte{ours: api.Spec(), theirs: text, levels: severities} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			return false, err
		}
	}
	contract, err := load(api.Spec())
	if err != nil {
		return false, err
	}
	other, err := load(text)
	if err != nil {
		return false, err
	}
	changes := guards(contract, other)
	reported, err := diff(ctx, oasdiff, ours, theirs, levels, contract.Paths.Keys())
	if err != nil {
		return false, err
	}
	return report(w, append(changes, reported...)), nil
}

// fetch reads a document from a file or a URL.
func fetch(ctx context.Context, spec string) ([]byte, error) {
	var from io.ReadCloser
	if strings.HasPrefix(spec, "http://") || strings.HasPrefix(spec, "https://") {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, spec, nil)
		if err != nil {
			return nil, err
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return nil, err
		}
		if from = resp.Body; resp.StatusCode != http.StatusOK {
			_ = from.Close()
			return nil, fmt.Errorf("the document's URL answers %s", resp.Status)
		}
	} else {
		f, err := os.Open(filepath.Clean(spec))
		if err != nil {
			return nil, err
		}
		from = f
	}
	defer from.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(from, maxSpec+1))
	if len(text) > maxSpec {
		return nil, fmt.Errorf("the document is longer than %d bytes", maxSpec)
	}
	return text, err
}

// diff has oasdiff compare the paths in the two files.
func diff(ctx context.Context, oasdiff []string, ours, theirs, levels string, paths []string) ([]change, error) {
	for i := range paths {
		paths[i] = regexp.QuoteMeta(paths[i])
	}
	args := slices.Concat(oasdiff[1:], []string{
		"changelog", ours, theirs, "--flatten-allof", "--flatten-params", "--allow-external-refs=false",
		"--match-path", "^(?:" + strings.Join(paths, "|") + ")$", "--severity-levels", levels, "--format", "json",
	})
	var out, trouble bytes.Buffer
	cmd := exec.CommandContext(ctx, oasdiff[0], args...) //nolint:gosec // the command is the user's own
	cmd.Stdout, cmd.Stderr = &out, &trouble
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("oasdiff: %w: %s", err, printable.Line(trouble.String(), 1024))
	}
	var changes []change
	if out.Len() == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(out.Bytes(), &changes); err != nil {
		return nil, fmt.Errorf("oasdiff's answer cannot be read: %w", err)
	}
	return changes, nil
}

func load(text []byte) (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, fmt.Errorf("the document cannot be loaded: %s", printable.Line(err.Error(), 512))
	}
	return doc, nil
}

// guards finds what this library depends on and no comparison counts as breaking: operations, answers
// and credentials that are not declared any more, and the names that generated code is called by.
func guards(ours, theirs *openapi3.T) []change {
	var changes []change
	for _, path := range ours.Paths.Keys() {
		guard := func(ok bool, id, text string) {
			if !ok {
				changes = append(changes, change{ID: id, Text: text, Level: 3, Path: path})
			}
		}
		for method, own := range ours.Paths.Value(path).Operations() {
			var op *openapi3.Operation
			if item := theirs.Paths.Value(path); item != nil {
				op = item.GetOperation(method)
			}
			if guard(op != nil, "guard-operation", "the operation is gone"); op != nil {
				guardOperation(theirs, own, op, guard)
			}
		}
	}
	return changes
}

func guardOperation(theirs *openapi3.T, own, op *openapi3.Operation, guard func(ok bool, id, text string)) {
	guard(op.OperationID == own.OperationID, "guard-operation-id",
		"the operationId is another, and with it the name of the generated method")
	for _, answer := range []struct {
		status    int
		mediaType string
	}{
		{200, "application/json"}, {400, "application/json"}, {401, "application/json"}, {429, "text/html"},
		{500, "application/json"}, {503, "application/json"},
	} {
		response := op.Responses.Status(answer.status)
		ok := response != nil && response.Value.Content[answer.mediaType] != nil
		text := fmt.Sprintf("the answer %d as %s is not declared any more", answer.status, answer.mediaType)
		guard(ok, "guard-answer", text)
	}
	security := op.Security
	if security == nil {
		security = &theirs.Security
	}
	for _, scheme := range []string{"resource-api-key", "external-access-token"} {
		ok := slices.ContainsFunc(*security, func(alternative openapi3.SecurityRequirement) bool {
			_, has := alternative[scheme]
			return has && len(alternative) == 1
		})
		guard(ok, "guard-security", fmt.Sprintf("the credential %s alone does not do any more", scheme))
	}
}

// report writes the changes, the worst first, and tells whether any is breaking. A change that many
// operations share is there once.
func report(w io.Writer, changes []change) (breaking bool) {
	var b strings.Builder
	counts := map[string]int{}
	for _, kind := range []string{"BREAKING", "harmless", "known"} {
		var lines []string
		paths, reasons := map[string][]string{}, map[string]string{}
		for _, c := range changes {
			verdict, reason := verdictOf(c)
			if verdict != kind {
				continue
			}
			line := fmt.Sprintf("%-8s  %s [%s]", verdict, printable.Line(c.Text, 512), c.ID)
			reasons[line] = reason
			if _, said := paths[line]; !said {
				lines = append(lines, line)
			}
			if last := c.Path[strings.LastIndex(c.Path, "/")+1:]; !slices.Contains(paths[line], last) {
				paths[line] = append(paths[line], last)
			}
		}
		counts[kind] = len(lines)
		for _, line := range lines {
			where := fmt.Sprintf("%d operations", len(paths[line]))
			if len(paths[line]) == 1 {
				where = paths[line][0]
			}
			b.WriteString(line)
			if where != "" {
				b.WriteString(" in " + printable.Line(where, 256))
			}
			b.WriteString(reasons[line] + "\n")
		}
	}
	fmt.Fprintf(&b, "%d breaking, %d harmless, %d known differences\n",
		counts["BREAKING"], counts["harmless"], counts["known"])
	_, _ = io.WriteString(w, b.String()) // the exit code says it too
	return counts["BREAKING"] > 0
}

// verdictOf says what a change means for this library. A known difference is looked up first.
func verdictOf(c change) (verdict, reason string) {
	for _, d := range known() {
		if d.id == c.ID && strings.Contains(c.Text, d.text) {
			return "known", ": " + d.reason
		}
	}
	if c.Level >= 2 {
		return "BREAKING", ""
	}
	return "harmless", ""
}
