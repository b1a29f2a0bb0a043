package contract

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/seed25095279/clusterlink-go/api"
)

// Coverage is which branches of the contract's answers traffic has exercised: each declared status
// and media type, and for each member that may be null both null and a value. Make it with
// NewCoverage. It is safe for concurrent use, and a nil one notes nothing.
type Coverage struct {
	mu   sync.Mutex
	seen map[string]int
}

// NewCoverage returns a Coverage of which nothing is exercised.
func NewCoverage() (*Coverage, error) {
	doc, err := openapi3.NewLoader().LoadFromData(api.Spec())
	if err != nil {
		return nil, fmt.Errorf("contract: the contract cannot be loaded: %w", err)
	}
	c := &Coverage{seen: map[string]int{}}
	for status, response := range doc.Paths.Find(path).Post.Responses.Map() {
		for mediaType, content := range response.Value.Content {
			branch := status + " " + mediaType
			c.seen[branch] = 0
			nullable(content.Schema.Value, branch+" ", func(pointer string) {
				c.seen[pointer+" null"], c.seen[pointer+" value"] = 0, 0
			})
		}
	}
	return c, nil
}

// nullable calls f with the pointer of each member below s that may be null; an element of any list
// is called *.
func nullable(s *openapi3.Schema, pointer string, f func(pointer string)) {
	if s.Nullable {
		f(pointer)
	}
	for _, part := range s.AllOf {
		nullable(part.Value, pointer, f)
	}
	for name, p := range s.Properties {
		nullable(p.Value, pointer+"/"+escape(name), f)
	}
	if s.Items != nil {
		nullable(s.Items.Value, pointer+"/*", f)
	}
}

// answer notes an answer that is declared; body is nil if it is not JSON.
func (c *Coverage) answer(op *openapi3.Operation, status int, mediaType string, body *tree) {
	if c == nil {
		return
	}
	declared := fmt.Sprint(status)
	if op.Responses.Value(declared) == nil {
		declared = fmt.Sprintf("%dXX", status/100)
	}
	branch := declared + " " + mediaType
	c.mu.Lock()
	defer c.mu.Unlock()
	if body == nil {
		c.seen[branch]++
		return
	}
	c.note(body, branch+" ")
}

func (c *Coverage) note(t *tree, pointer string) {
	kind := " value"
	if t.kind == 'n' {
		kind = " null"
	}
	if _, is := c.seen[pointer+kind]; is {
		c.seen[pointer+kind]++
	}
	for _, m := range t.members {
		c.note(m.value, pointer+"/"+escape(m.name))
	}
	for _, e := range t.elements {
		c.note(e, pointer+"/*")
	}
}

// Missing returns the branches that nothing has exercised, sorted.
func (c *Coverage) Missing() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var missing []string
	for _, branch := range slices.Sorted(maps.Keys(c.seen)) {
		if c.seen[branch] == 0 {
			missing = append(missing, branch)
		}
	}
	return missing
}

// Table writes the branches, how often each was exercised, and what part of them was at all. The
// error is w's.
func (c *Coverage) Table(w io.Writer) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "STATUS\tMEDIA TYPE\tMEMBER\tBRANCH\tSEEN\n")
	hit := 0
	for _, branch := range slices.Sorted(maps.Keys(c.seen)) {
		parts := append(strings.SplitN(branch, " ", 4), "", "")
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\n", parts[0], parts[1], parts[2], parts[3], c.seen[branch])
		if c.seen[branch] > 0 {
			hit++
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(&b, "%d of %d branches, %d %%\n", hit, len(c.seen), 100*hit/len(c.seen))
	_, err := io.WriteString(w, b.String())
	return err
}
