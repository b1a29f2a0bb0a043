package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/seed25095279/clusterlink-go/gen"
	"github.com/seed25095279/clusterlink-go/pkg/internal/printable"
)

// LinkInfo is one side of a cluster link, as its cluster gives it. Its texts are printable and shortened; a
// text that the server does not give is "".
type LinkInfo struct {
	// Name is the link's, and ClusterID that of the cluster that was asked.
	Name      string `json:"name"`
	ClusterID string `json:"cluster_id"`
	// RemoteClusterID is the cluster that this side of the link points at.
	RemoteClusterID string `json:"remote_cluster_id,omitempty"`
	// ID is the link's cluster_link_id, the same on both sides (assumed).
	ID string `json:"id,omitempty"`
	// State is the link's, such as ACTIVE, which is no proof of life: a link is called unavailable only after
	// 5 minutes without its source (observed). The set is open.
	State string `json:"state,omitempty"`
	// Error and ErrorMessage say what is wrong with the link; "" if the server names nothing.
	Error        string `json:"error,omitempty"`
	ErrorMessage string `json:"error_message,omitempty"`
	// Mode is its config link.mode: a reversal needs BIDIRECTIONAL. Prefix is its config
	// cluster.link.prefix.
	Mode   string `json:"mode,omitempty"`
	Prefix string `json:"prefix,omitempty"`
	// Tasks are what the link does; nil if the server gives none.
	Tasks []LinkTask `json:"tasks,omitempty"`
}

// LinkTask is something that a link does.
type LinkTask struct {
	Name string `json:"name"`
	// State is the task's, such as ACTIVE or IN_ERROR. The set is open.
	State string `json:"state"`
	// Errors say why it is in error.
	Errors []Reason `json:"errors,omitempty"`
}

// Link reads one side of a cluster link: the link with its tasks, and its configs, with one GET each. The
// error is as for Mirrors; what was read stands beside it.
func (c *Client) Link(ctx context.Context, link string) (LinkInfo, error) {
	info := LinkInfo{Name: link}
	if err := c.checkRead(link); err != nil {
		return info, err
	}
	info.ClusterID = c.clusterID

	q := reading(link, "", func(server, clusterID, link string) (*http.Request, error) {
		params := gen.GetKafkaLinkParams{IncludeTasks: new(true)}
		return gen.NewGetKafkaLinkRequest(server, clusterID, link, &params)
	})
	q.read = func(_ http.Header, body io.Reader) (rows int, err error) {
		var data gen.ListLinksResponseData
		if err := decode(body, &data); err != nil {
			return 0, err
		}
		info.fill(&data, q.hide)
		return 1, nil
	}
	c.send(ctx, ctx, q)
	if q.verdict.err != nil {
		return info, cause("the link "+printable.Quote(link)+" was not read", q.verdict.err)
	}

	q = reading(link, "/configs", gen.NewListKafkaLinkConfigsRequest)
	q.read = func(_ http.Header, body io.Reader) (rows int, err error) {
		w := answerWalk{walk: newWalk(body)}
		w.element = func() error {
			w.in.step(w.dec.InputOffset())
			v, err := w.dec.ReadValue()
			if err != nil {
				return err
			}
			var one struct {
				Name  string  `json:"name"`
				Value *string `json:"value"`
			}
			if err := json.Unmarshal(v, &one); err != nil {
				return errors.New("a config in it cannot be read")
			}
			if one.Value == nil {
				one.Value = new("")
			}
			switch one.Name {
			case "link.mode":
				info.Mode = clean(q.hide.text(*one.Value))
			case "cluster.link.prefix":
				info.Prefix = clean(q.hide.text(*one.Value))
			}
			return nil
		}
		err = withoutNames(w.document())
		if err == nil && w.meta.next != "" {
			err = errors.New("it goes on elsewhere, so configs are missing")
		}
		return w.meta.rows, err
	}
	c.send(ctx, ctx, q)
	if q.verdict.err != nil {
		return info, cause("the configs of link "+printable.Quote(link)+" were not read", q.verdict.err)
	}
	return info, nil
}

// decode reads a document that is small.
func decode(body io.Reader, into any) error {
	text, err := io.ReadAll(io.LimitReader(body, maxValue+1))
	switch {
	case err != nil:
		return err
	case len(text) > maxValue:
		return fmt.Errorf("it is longer than %d bytes", maxValue)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return errors.New("it is not as the contract has it") // the decoder's own text may quote anything
	}
	return nil
}

// fill takes over what the server says of the link.
func (info *LinkInfo) fill(data *gen.ListLinksResponseData, hide *redactor) {
	text := func(texts ...*string) string {
		for _, t := range texts {
			if t != nil && *t != "" {
				return clean(hide.text(*t))
			}
		}
		return ""
	}
	info.RemoteClusterID = text(data.RemoteClusterID, data.SourceClusterID, data.DestinationClusterID)
	info.ID = text(&data.ClusterLinkID)
	info.State = text(data.LinkState)
	info.ErrorMessage = text(data.LinkErrorMessage)
	if info.Error = text(data.LinkError); info.Error == noError {
		info.Error = ""
	}
	info.Tasks = nil
	for _, t := range data.Tasks {
		task := LinkTask{Name: text(&t.TaskName), State: text(&t.State)}
		for _, e := range t.Errors {
			task.Errors = append(task.Errors, Reason{Code: text(&e.ErrorCode), Message: text(&e.ErrorMessage)})
		}
		info.Tasks = append(info.Tasks, task)
	}
}

// noError is the name that says that there is no error.
const noError = "NO_ERROR"

// CheckPair returns an error that says everything about the two sides of a link that would make a reversal
// fail; nil if nothing is known to. It needs one side from each cluster, and compares names, the clusters
// that they point at, ids (that they must be equal is assumed), mode and prefix, and looks for a state that
// is not ACTIVE and for tasks in error.
//
// Nil is no promise: ACTIVE is no proof of life, and ACLs, consumer groups and producers are not looked at.
func CheckPair(local, remote LinkInfo) error {
	var problems []string
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if local.Name != remote.Name {
		add("the sides have different names, %s and %s", printable.Quote(local.Name), printable.Quote(remote.Name))
	}
	if local.ClusterID == remote.ClusterID {
		add("both sides are of cluster %s", printable.Quote(local.ClusterID))
	}
	if local.ID != remote.ID {
		add("the sides have different link ids, %s and %s, so they are not of one link (assumed)",
			printable.Quote(local.ID), printable.Quote(remote.ID))
	}
	for _, side := range []struct{ ours, theirs LinkInfo }{{local, remote}, {remote, local}} {
		l := side.ours
		on := "on " + printable.Quote(l.ClusterID) + " "
		if l.RemoteClusterID != side.theirs.ClusterID {
			add("%sthe link points at cluster %s, not at %s", on,
				printable.Quote(l.RemoteClusterID), printable.Quote(side.theirs.ClusterID))
		}
		if !strings.EqualFold(l.Mode, "BIDIRECTIONAL") {
			add("%slink.mode is %s, not BIDIRECTIONAL", on, cmp.Or(clean(l.Mode), "not known"))
		}
		if l.Prefix != "" {
			add("%sthe link has the prefix %s", on, printable.Quote(l.Prefix))
		}
		if l.State != "" && l.State != "ACTIVE" || l.Error != "" {
			add("%s", strings.TrimSuffix(on+"the link is "+clean(l.State)+" "+
				Reason{Code: l.Error, Message: l.ErrorMessage}.String(), " "))
		}
		for _, t := range l.Tasks {
			if t.State == "IN_ERROR" {
				var why []string
				for _, e := range t.Errors {
					why = append(why, e.String())
				}
				add("%s", strings.TrimSuffix(on+"the task "+clean(t.Name)+" is IN_ERROR: "+strings.Join(why, "; "), ": "))
			}
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return &causeError{text: cleanLong("the link cannot be reversed: " + strings.Join(problems, "; "))}
}
