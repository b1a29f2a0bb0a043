package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/mirror/internal/wire"
)

// LinkInfo is a cluster's side of a link. Its texts are printable and shortened. A text absent from the answer is "".
type LinkInfo struct {
	// Name is the link's name. ClusterID is the cluster that was asked.
	Name      string `json:"name"`
	ClusterID string `json:"cluster_id"`
	// RemoteClusterID is the cluster at the other end of the link.
	RemoteClusterID string `json:"remote_cluster_id,omitempty"`
	// ID is the link's cluster_link_id, the same on both sides (observed).
	ID string `json:"id,omitempty"`
	// State is the link's state, such as ACTIVE. ACTIVE is no proof of life: a link becomes unavailable only after 5
	// minutes without its source (observed). The set is open.
	State string `json:"state,omitempty"`
	// Error and ErrorMessage say why the link fails; "" if the server gives no reason.
	Error        string `json:"error,omitempty"`
	ErrorMessage string `json:"error_message,omitempty"`

	// The following fields are configs of the link, as the cluster gives them.

	// Mode is link.mode: a reversal needs BIDIRECTIONAL (observed). Prefix is cluster.link.prefix.
	Mode   string `json:"mode,omitempty"`
	Prefix string `json:"prefix,omitempty"`
	// OffsetSync is consumer.offset.sync.enable, false by default. OffsetSyncInterval is consumer.offset.sync.ms, 30
	// 000 by default. OffsetSyncFilter is consumer.offset.group.filters (observed).
	OffsetSync         string `json:"offset_sync,omitempty"`
	OffsetSyncInterval string `json:"offset_sync_ms,omitempty"`
	OffsetSyncFilter   string `json:"offset_sync_filter,omitempty"`
	// ACLSync is acl.sync.enable, and AutoCreate auto.create.mirror.topics.enable, both false by default (observed).
	ACLSync    string `json:"acl_sync,omitempty"`
	AutoCreate string `json:"auto_create,omitempty"`

	// Tasks are the link's tasks; nil if the server gives none.
	Tasks []LinkTask `json:"tasks,omitempty"`
}

// LinkTask is a task of a link.
type LinkTask struct {
	Name string `json:"name"`
	// State is the task's state, such as ACTIVE or IN_ERROR. The set is open.
	State string `json:"state"`
	// Errors say why the task is in error.
	Errors []Reason `json:"errors,omitempty"`
}

// Link reads a cluster's side of a link with two GETs: the link with its tasks, then its configs. The error is as for
// Mirrors. After an error the LinkInfo has everything that was read.
func (c *Client) Link(ctx context.Context, link string) (LinkInfo, error) {
	empty := LinkInfo{Name: link, ClusterID: c.ClusterID()}
	info := empty
	if err := c.checkRead(link, nil); err != nil {
		return info, err
	}
	err := c.read(ctx, c.named(link), "", link, func(_ http.Header, body io.Reader, s *wire.Secrets) error {
		info = empty
		return readObject(body, func(v jsontext.Value) error { return readLink(v, &info, s) })
	}, newLinkRequest)
	if err != nil {
		return info, err
	}
	own := info
	what := "the config of " + c.named(link)
	err = c.read(ctx, what, "/configs", link, func(_ http.Header, body io.Reader, s *wire.Secrets) error {
		info = own
		return readConfigs(body, &info, s)
	}, newConfigsRequest)
	return info, err
}

// PairCheck is the result of CheckPair.
type PairCheck struct {
	// InTheWay are the reasons why a reversal cannot succeed.
	InTheWay []string `json:"in_the_way"`
	// WorthALook are findings that may be harmless.
	WorthALook []string `json:"worth_a_look"`
}

// Err returns an error with every reason from InTheWay, or nil if there is none.
func (p PairCheck) Err() error {
	if len(p.InTheWay) == 0 {
		return nil
	}
	return errors.New("the link is not ready for a reversal: " + strings.Join(p.InTheWay, "; "))
}

// CheckPair compares the two sides of a link before a reversal. Each side comes from its own cluster.
//
// InTheWay has different names or link ids, sides that do not point at each other, a mode other than BIDIRECTIONAL, a
// prefix (observed), a link with an error or with a state other than ACTIVE. WorthALook has tasks in error, some of
// them harmless, such as AclSync without filters (observed), and consumer offset sync that is off.
//
// An empty InTheWay is no promise: ACTIVE is no proof of life, and ACLs, consumer groups and producers are not checked.
func CheckPair(this, other LinkInfo) PairCheck {
	var p PairCheck
	inTheWay := func(format string, args ...any) { p.InTheWay = append(p.InTheWay, fmt.Sprintf(format, args...)) }
	look := func(format string, args ...any) { p.WorthALook = append(p.WorthALook, fmt.Sprintf(format, args...)) }
	if this.Name != other.Name {
		inTheWay("the sides have different names, %s and %s", text.Quote(this.Name), text.Quote(other.Name))
	}
	if this.ClusterID == other.ClusterID {
		inTheWay("both sides are of cluster %s", text.Quote(this.ClusterID))
	}
	switch {
	case this.ID == "" || other.ID == "":
		inTheWay("the link id is not known on both sides")
	case this.ID != other.ID:
		inTheWay("the sides have different link ids, %s and %s, so they are not of one link",
			text.Quote(this.ID), text.Quote(other.ID))
	}
	for _, side := range []struct{ own, far LinkInfo }{{this, other}, {other, this}} {
		l := side.own
		on := "on " + text.Quote(l.ClusterID) + " "
		switch l.RemoteClusterID {
		case side.far.ClusterID:
		case "":
			inTheWay("%sit is not known which cluster the link points at", on)
		default:
			inTheWay("%sthe link points at cluster %s, not at %s",
				on, text.Quote(l.RemoteClusterID), text.Quote(side.far.ClusterID))
		}
		if !strings.EqualFold(l.Mode, "BIDIRECTIONAL") {
			mode := text.Line(l.Mode, maxText)
			if mode == "" {
				mode = "not known"
			}
			inTheWay("%slink.mode is %s, and a reversal needs BIDIRECTIONAL", on, mode)
		}
		if l.Prefix != "" {
			inTheWay("%sthe link has the prefix %s", on, text.Quote(l.Prefix))
		}
		if l.State != "" && !strings.EqualFold(l.State, "ACTIVE") {
			inTheWay("%sthe link is %s", on, text.Line(l.State, maxText))
		}
		if l.Error != "" || l.ErrorMessage != "" {
			inTheWay("%sthe link's error is %s", on, Reason{Code: l.Error, Message: l.ErrorMessage})
		}
		for _, t := range l.Tasks {
			switch strings.ToUpper(t.State) {
			case "IN_ERROR", "LINK_FAILED", "LINK_UNAVAILABLE":
				var why []string
				for _, e := range t.Errors {
					why = append(why, e.String())
				}
				look("%s", strings.TrimSuffix(fmt.Sprintf("%sthe task %s is %s: %s", on,
					text.Line(t.Name, maxText), text.Line(t.State, maxText), strings.Join(why, "; ")), ": "))
			}
		}
		switch {
		case l.OffsetSync == "":
			look("%sit is not known whether consumer offset sync is on", on)
		case !strings.EqualFold(l.OffsetSync, "true"):
			look("%sconsumer offset sync is off", on)
		}
	}
	return p
}

// ConsumerGroup is a consumer group as its cluster gives it.
type ConsumerGroup struct {
	ID string `json:"id"`
	// State is the group's state, such as STABLE or EMPTY; "" if the state cannot be read. The set is open. An active
	// group on a mirror's cluster blocks a promote and a truncate-and-restore (observed).
	State string `json:"state"`
}

// ConsumerGroup reads a consumer group. The error is as for Mirrors. An unknown group is an *APIError with status 404.
func (c *Client) ConsumerGroup(ctx context.Context, group string) (ConsumerGroup, error) {
	g := ConsumerGroup{ID: group}
	bad := &argumentError{}
	c.checkMade(bad)
	checkID(bad, "group", group)
	if err := bad.err(); err != nil {
		return g, err
	}
	what := "the consumer group " + text.Quote(group) + " of " + text.Quote(c.clusterID)
	path := "/consumer-groups/" + url.PathEscape(group)
	err := c.readOne(ctx, what, path, "", func(v jsontext.Value, s *wire.Secrets) error {
		m := membersOf(v, "consumer_group_id", "state")
		if id := legible(m["consumer_group_id"]); id != group {
			return errors.New("the answer is about " + text.Quote(s.Hide(id)))
		}
		g.State = s.Show(legible(m["state"]), maxText)
		return nil
	}, func(server, cluster, _ string) (*http.Request, error) { return newGroupRequest(server, cluster, group) })
	return g, err
}
