package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed25095279/clusterlink-go/gen"
	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
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
	// Mode is its config link.mode: a reversal needs BIDIRECTIONAL (observed). Prefix is its config
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

	q := reading("read link", link, "", func(server, clusterID, link string) (*http.Request, error) {
		params := gen.GetKafkaLinkParams{IncludeTasks: new(true)}
		return gen.NewGetKafkaLinkRequest(server, clusterID, link, &params)
	})
	q.reset = func() { info = LinkInfo{Name: link, ClusterID: c.clusterID} }
	q.read = func(_ http.Header, body io.Reader) (rows int, err error) {
		return oneObject, withoutNames(info.read(body, q.hide))
	}
	c.send(ctx, ctx, q)
	if q.verdict.err != nil {
		return info, cause(c.named(link)+" was not read", q.verdict.err)
	}

	q = reading("list configs", link, "/configs", gen.NewListKafkaLinkConfigsRequest)
	q.reset = func() { info.Mode, info.Prefix = "", "" }
	q.read = func(_ http.Header, body io.Reader) (rows int, err error) { return info.readConfigs(body, q.hide) }
	c.send(ctx, ctx, q)
	if q.verdict.err != nil {
		return info, cause("the configs of "+c.named(link)+" were not read", q.verdict.err)
	}
	return info, nil
}

// linkData is what is read of a link; the rest is passed over, for it may be long.
type linkData struct {
	LinkName             string  `json:"link_name"`
	ErrorCode            any     `json:"error_code"`
	RemoteClusterID      *string `json:"remote_cluster_id"`
	SourceClusterID      *string `json:"source_cluster_id"`
	DestinationClusterID *string `json:"destination_cluster_id"`
	ClusterLinkID        *string `json:"cluster_link_id"`
	LinkState            *string `json:"link_state"`
	LinkError            *string `json:"link_error"`
	LinkErrorMessage     *string `json:"link_error_message"`
	Tasks                []gen.LinkTask
}

// read reads a link as its cluster gives it. The members that are not wanted are walked over; of the tasks so
// many are kept as maxReasons.
func (info *LinkInfo) read(body io.Reader, hide *redactor) error {
	w := answerWalk{walk: newWalk(body)}
	if err := w.begin(); err != nil {
		return err
	}
	var data linkData
	members := map[string]any{
		"link_name": &data.LinkName, "error_code": &data.ErrorCode, "remote_cluster_id": &data.RemoteClusterID,
		"source_cluster_id": &data.SourceClusterID, "destination_cluster_id": &data.DestinationClusterID,
		"cluster_link_id": &data.ClusterLinkID, "link_state": &data.LinkState, "link_error": &data.LinkError,
		"link_error_message": &data.LinkErrorMessage,
	}
	err := w.object(func(member string) error {
		into, wanted := members[member]
		switch {
		case wanted && into == nil:
			return errors.New("it has " + member + " twice")
		case wanted:
			members[member] = nil
			return w.decode(into)
		case member == "tasks" && w.dec.PeekKind() == '[':
			return w.each(']', func() error {
				if len(data.Tasks) >= maxReasons {
					return w.dec.SkipValue()
				}
				var t gen.LinkTask
				err := w.decode(&t)
				data.Tasks = append(data.Tasks, t)
				return err
			})
		}
		return w.dec.SkipValue()
	})
	switch {
	case err != nil:
		return err
	case data.ErrorCode != nil && data.ErrorCode != 0.0:
		return errors.New("it has an error_code")
	case data.LinkName != info.Name:
		return errors.New("it is about the link " + text.Quote(hide.text(data.LinkName)))
	}
	info.fill(&data, hide)
	return w.end()
}

// decode reads one value that is not long.
func (w *walk) decode(into any) error {
	v, err := w.dec.ReadValue()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(v, into, jsontext.AllowInvalidUTF8(true)); err != nil {
		return errors.New("it is not as the contract has it") // the decoder's own text may quote anything
	}
	return nil
}

// readConfigs takes mode and prefix from the configs of the link.
func (info *LinkInfo) readConfigs(body io.Reader, hide *redactor) (rows int, err error) {
	w := answerWalk{walk: newWalk(body)}
	wanted := map[string]*string{"link.mode": &info.Mode, "cluster.link.prefix": &info.Prefix}
	w.element = func(v jsontext.Value) error {
		var one struct {
			Name  any `json:"name"`
			Value any `json:"value"`
		}
		if err := json.Unmarshal(v, &one, jsontext.AllowInvalidUTF8(true)); err != nil {
			return errors.New("a config in it cannot be read")
		}
		name, isText := one.Name.(string)
		into, is := wanted[name]
		value, valueIsText := one.Value.(string)
		switch {
		case !isText:
			return errors.New("a config in it has no name")
		case !is:
			return nil
		case into == nil:
			return errors.New("it has " + name + " twice")
		case !valueIsText && one.Value != nil:
			return errors.New("the value of " + name + " cannot be read")
		}
		*into, wanted[name] = clean(hide.text(value)), nil
		return nil
	}
	err = withoutNames(w.document())
	if err == nil && w.meta.next != "" {
		err = errors.New("it goes on elsewhere, so configs are missing")
	}
	return w.meta.rows, err
}

// fill takes over what the server says of the link.
func (info *LinkInfo) fill(data *linkData, hide *redactor) {
	text := func(texts ...*string) string {
		for _, t := range texts {
			if t != nil && *t != "" {
				return clean(hide.text(*t))
			}
		}
		return ""
	}
	info.RemoteClusterID = text(data.RemoteClusterID, data.SourceClusterID, data.DestinationClusterID)
	info.ID = text(data.ClusterLinkID)
	info.State = text(data.LinkState)
	info.ErrorMessage = text(data.LinkErrorMessage)
	if info.Error = text(data.LinkError); info.Error == noError {
		info.Error = ""
	}
	for _, t := range data.Tasks {
		task := LinkTask{Name: text(&t.TaskName), State: text(&t.State)}
		for _, e := range t.Errors[:min(len(t.Errors), maxReasons)] {
			task.Errors = append(task.Errors, Reason{Code: text(&e.ErrorCode), Message: text(&e.ErrorMessage)})
		}
		info.Tasks = append(info.Tasks, task)
	}
}

// CheckPair compares the two sides of a link, one from each cluster, before a reversal. It returns an error
// that says everything that is not as a reversal needs it, or nil if it finds nothing: names, link ids (that
// they must be equal is assumed) and the clusters that the sides point at; a mode that is not BIDIRECTIONAL
// and a prefix (observed to be in the way); a state other than ACTIVE, an error, and tasks in error, which are
// worth a look first (assumed to be in the way).
//
// Nil is no promise: ACTIVE is no proof of life, and ACLs, consumer groups and producers are not looked at.
func CheckPair(local, remote LinkInfo) error {
	var problems []string
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if local.Name != remote.Name {
		add("the sides have different names, %s and %s", text.Quote(local.Name), text.Quote(remote.Name))
	}
	if local.ClusterID == remote.ClusterID {
		add("both sides are of cluster %s", text.Quote(local.ClusterID))
	}
	switch {
	case local.ID == "" || remote.ID == "":
		add("the link id is not known on both sides")
	case local.ID != remote.ID:
		add("the sides have different link ids, %s and %s, so they are not of one link (assumed)",
			text.Quote(local.ID), text.Quote(remote.ID))
	}
	for _, side := range []struct{ ours, theirs LinkInfo }{{local, remote}, {remote, local}} {
		l := side.ours
		on := "on " + text.Quote(l.ClusterID) + " "
		switch l.RemoteClusterID {
		case side.theirs.ClusterID:
		case "":
			add("%sit is not known which cluster the link points at", on)
		default:
			add("%sthe link points at cluster %s, not at %s", on,
				text.Quote(l.RemoteClusterID), text.Quote(side.theirs.ClusterID))
		}
		switch {
		case l.Mode == "":
			add("%slink.mode is not known", on)
		case !strings.EqualFold(l.Mode, "BIDIRECTIONAL"):
			add("%slink.mode is %s, not BIDIRECTIONAL", on, clean(l.Mode))
		}
		if l.Prefix != "" {
			add("%sthe link has the prefix %s", on, text.Quote(l.Prefix))
		}
		if l.State != "" && !strings.EqualFold(l.State, "ACTIVE") {
			add("%sthe link is %s", on, clean(l.State))
		}
		if l.Error != "" || l.ErrorMessage != "" {
			add("%sthe link's error is %s", on, Reason{Code: l.Error, Message: l.ErrorMessage})
		}
		for _, t := range l.Tasks {
			if t.State == "IN_ERROR" || t.State == "LINK_FAILED" || t.State == "LINK_UNAVAILABLE" {
				var why []string
				for _, e := range t.Errors {
					why = append(why, e.String())
				}
				text := fmt.Sprintf("%sthe task %s is %s: %s", on, clean(t.Name), t.State, strings.Join(why, "; "))
				add("%s", strings.TrimSuffix(text, ": "))
			}
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return &causeError{text: cleanLong("the link is not ready for a reversal: " + shownJoined(problems, "; "))}
}

// shownJoined joins the first problems, and counts the others.
func shownJoined(problems []string, sep string) string {
	if more := len(problems) - maxShown; more > 0 {
		problems = append(problems[:maxShown:maxShown], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(problems, sep)
}
