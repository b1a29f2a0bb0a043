// Specdiff compares another OpenAPI document with the contract. It lists, in plain words, which differences break the
// library, which are harmless, and which are known. It looks at the operations of the contract, and names the other
// document's additional verbs for mirror topics.
//
// The verdict depends on the library's own requests and reads. Specdiff checks the library's requests and credentials
// against the other document. A change of a response member that the library does not read is harmless.
//
// The last line has the verdict. The exit code is 0 if the documents are the same or all differences are harmless, 1
// if a difference is breaking, and 2 if the documents could not be compared.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3conv"

	"github.com/seed25095279/clusterlink-go/api"
	printable "github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// The exit codes.
const (
	exitHarmless = iota
	exitBreaking
	exitNotCompared
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // the second interrupt ends the process
	code := compare(ctx, os.Stdout, os.Args[1:])
	stop()
	os.Exit(code)
}

// compare runs the command with the arguments and returns the exit code.
func compare(ctx context.Context, w io.Writer, args []string) int {
	flags := flag.NewFlagSet("specdiff", flag.ContinueOnError)
	flags.SetOutput(w)
	oasdiff := flags.String("oasdiff", "", "the command line of oasdiff")
	err := flags.Parse(args)
	switch {
	case err != nil:
	case flags.NArg() != 1 || *oasdiff == "":
		err = errors.New("usage: specdiff -oasdiff COMMAND FILE-OR-URL")
	case flags.Arg(0) == "":
		err = errors.New("no document is given: set SPEC to a file or a URL")
	}
	var breaking bool
	if err == nil {
		breaking, err = run(ctx, w, strings.Fields(*oasdiff), flags.Arg(0))
	}
	code, verdict := exitHarmless, "same or harmless"
	switch {
	case err != nil:
		_, _ = fmt.Fprintln(w, "specdiff:", err)
		code, verdict = exitNotCompared, "could not compare"
	case breaking:
		code, verdict = exitBreaking, "BREAKING"
	}
	_, _ = fmt.Fprintf(w, "specdiff: %s (exit code %d)\n", verdict, code) // the exit code has the verdict too
	return code
}

// change is one difference, from oasdiff or from a guard.
type change struct {
	ID    string `json:"id"`
	Text  string `json:"text"`
	Level int    `json:"level"` // 3 is an error, 2 a warning, 1 information
	Path  string `json:"path"`  // of the operation; "" for a change of the whole document
}

// The levels.
const (
	harmless = 1
	breaks   = 3
)

func sorted(found map[change]bool) []change {
	return slices.SortedFunc(maps.Keys(found), func(a, b change) int {
		return strings.Compare(a.ID+a.Text+a.Path, b.ID+b.Text+b.Path)
	})
}

func run(ctx context.Context, w io.Writer, oasdiff []string, spec string) (breaking bool, err error) {
	text, err := fetch(ctx, spec)
	if err != nil {
		return false, err
	}
	contract, err := load(api.Spec())
	if err != nil {
		return false, err
	}
	other, err := load(text)
	if err != nil {
		return false, err
	}
	ours, theirs, changes := align(contract, other)
	if ours, err = normal(ours); err != nil {
		return false, err
	}
	if theirs, err = normal(theirs); err != nil {
		return false, err
	}
	changes = append(changes, guards(ours, theirs)...)
	unfit, err := unfitRequests(ctx, theirs)
	if err != nil {
		return false, err
	}
	changes = append(changes, unfit...)
	reported, err := diff(ctx, oasdiff, ours, theirs)
	if err != nil {
		return false, err
	}
	nameValues(reported, theirs)
	return report(w, append(changes, reported...)), nil
}

// nameValues adds the values to each change that restricts a response member to some values.
func nameValues(changes []change, theirs *openapi3.T) {
	for i, c := range changes {
		if c.ID != "response-property-became-enum" {
			continue
		}
		name, values := quoted.FindStringSubmatch(c.Text)[1], []any(nil)
		for _, op := range theirs.Paths.Value(c.Path).Operations() {
			for _, response := range op.Responses.Map() {
				if media := response.Value.Content[jsonType]; media != nil && media.Schema != nil {
					if s := memberOf(media.Schema.Value, name); s != nil {
						values = s.Enum
					}
				}
			}
		}
		changes[i].Text += fmt.Sprintf(": %v", values)
	}
}

// memberOf returns the schema at a place in a schema, or nil.
func memberOf(s *openapi3.Schema, place string) *openapi3.Schema {
	for _, part := range strings.Split(place, "/") {
		switch property := properties(s)[part]; {
		case property != nil:
			s = property
		case part == "items" && s.Items != nil:
			s = s.Items.Value
		default:
			return nil
		}
	}
	return s
}

// diff compares two documents with oasdiff, both upgraded to the newest version of OpenAPI.
func diff(ctx context.Context, oasdiff []string, ours, theirs *openapi3.T) (changes []change, err error) {
	dir, err := os.MkdirTemp("", "specdiff")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var files []string
	for name, doc := range map[string]*openapi3.T{"1-contract.json": ours, "2-other.json": theirs} {
		openapi3conv.Upgrade(doc)
		text, err := json.Marshal(doc)
		if err != nil {
			return nil, fmt.Errorf("the document cannot be written: %s", printable.Line(err.Error(), 512))
		}
		files = append(files, filepath.Join(dir, name))
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return nil, err
		}
	}
	slices.Sort(files)
	levels := filepath.Join(dir, "severities.txt")
	if err := os.WriteFile(levels, severities, 0o600); err != nil {
		return nil, err
	}
	args := slices.Concat(oasdiff[1:], []string{"changelog"}, files, []string{
		"--flatten-allof", "--allow-external-refs=false", "--severity-levels", levels, "--format", "json",
	})
	var out, trouble bytes.Buffer
	cmd := exec.CommandContext(ctx, oasdiff[0], args...) //nolint:gosec // the command is the user's own
	cmd.Stdout, cmd.Stderr = &out, &trouble
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("oasdiff: %w: %s", err, printable.Line(trouble.String(), 1024))
	}
	if out.Len() == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(out.Bytes(), &changes); err != nil {
		return nil, fmt.Errorf("oasdiff's answer cannot be read: %w", err)
	}
	return changes, nil
}
