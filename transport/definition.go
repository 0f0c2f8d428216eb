package transport

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/pawlhq/pawl/fsm"
	"github.com/pawlhq/pawl/fsm/def"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
	"github.com/pawlhq/pawl/transport/document"
)

// definitions serves DefinitionService.
type definitions struct{ s *Server }

// outline is what tells the two documents apart and names them.
type outline struct {
	Name    string          `json:"name"`
	Version json.Number     `json:"version"`
	Tasks   json.RawMessage `json:"tasks"`
}

// read gives a document, JSON or YAML, as JSON, and just enough of it to know what it
// is. The machine checks the rest.
func read(source string) ([]byte, apiv1.DefinitionKind, outline, error) {
	var o outline
	if source == "" {
		return nil, 0, o, badField("source", "required")
	}
	raw, err := document.JSON([]byte(source))
	if err != nil {
		return nil, 0, o, badField("source", err.Error())
	}
	if !json.Valid(raw) {
		return nil, 0, o, badField("source", "not a JSON document")
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		// A wrong type within an object is for the machine to name.
		var top map[string]json.RawMessage
		if json.Unmarshal(raw, &top) != nil {
			return nil, 0, o, badField("source", "not an object of JSON or YAML")
		}
		o.Tasks = top["tasks"]
	}
	if o.Tasks != nil {
		return raw, apiv1.DefinitionKind_WORKFLOW, o, nil
	}
	return raw, apiv1.DefinitionKind_TASK_TYPE, o, nil
}

func (o *outline) version() int32 {
	v, err := strconv.ParseInt(o.Version.String(), 10, 32)
	if err != nil {
		return 0
	}
	return int32(v)
}

// Apply registers a document.
func (d *definitions) Apply(ctx context.Context, req *apiv1.ApplyDefinitionRequest) (*apiv1.ApplyDefinitionResponse, error) {
	source, kind, o, err := read(req.Source)
	if err != nil {
		return nil, changeError(err)
	}
	var body fsm.Body = &fsm.PutTaskType{Source: source}
	if kind == apiv1.DefinitionKind_WORKFLOW {
		if err := d.s.parsed(ctx, source, false); err != nil {
			return nil, changeError(err)
		}
		body = &fsm.PutDefinition{Source: source, Overwrite: req.Overwrite}
	}
	out, err := d.s.change(ctx, req.RequestId, body)
	if err != nil {
		return nil, err
	}
	return &apiv1.ApplyDefinitionResponse{
		Name:     o.Name,
		Version:  out.Result.Version,
		Kind:     kind,
		Position: out.Position.String(),
	}, nil
}

// Validate says what Apply would find wrong with a document, without registering it.
func (d *definitions) Validate(ctx context.Context, req *apiv1.ValidateDefinitionRequest) (*apiv1.ValidateDefinitionResponse, error) {
	source, kind, o, err := read(req.Source)
	if err != nil {
		return nil, readError(err)
	}
	resp := &apiv1.ValidateDefinitionResponse{Kind: kind, Name: o.Name}
	var problems []def.Problem
	if kind == apiv1.DefinitionKind_WORKFLOW {
		if resp.Version, problems, err = d.judge(ctx, source, &o); err != nil {
			return nil, readError(err)
		}
	} else {
		_, problems = def.ParseTaskType(source)
	}
	for _, p := range problems {
		resp.Problems = append(resp.Problems, &apiv1.Problem{Path: validText(p.Path), Message: validText(p.Message)})
	}
	return resp, nil
}

// judge finds everything that is wrong with a definition, and the version that it has.
func (d *definitions) judge(ctx context.Context, source []byte, o *outline) (version int32, problems []def.Problem, err error) {
	v, _ := d.s.deps.Views.Stale()
	plan, problems := v.Compile(source, false)
	version = o.version()
	if plan != nil {
		version = plan.Version
	}
	found, err := d.s.faults(ctx, source)
	return version, append(problems, found...), err
}

// Get gives one version of a definition.
func (d *definitions) Get(ctx context.Context, req *apiv1.GetDefinitionRequest) (*apiv1.GetDefinitionResponse, error) {
	if req.Version < 0 {
		return nil, readError(badField("version", "must be 0 for the latest, or above"))
	}
	v, err := d.s.view(ctx, req.Read)
	if err != nil {
		return nil, err
	}
	info, ok := v.Definition(req.Name, req.Version)
	if !ok {
		name := req.Name
		if req.Version != 0 {
			name += " version " + strconv.Itoa(int(req.Version))
		}
		return nil, readError(notFound("definition", name))
	}
	def := definition(&info)
	def.Source = text(info.Source)
	return &apiv1.GetDefinitionResponse{Definition: def, Position: position(v).String()}, nil
}

func definition(d *fsm.DefinitionInfo) *apiv1.Definition {
	return &apiv1.Definition{Name: d.Name, Version: d.Version, Created: instant(d.Created), Updated: instant(d.Updated)}
}

// List gives all definitions without their documents.
func (d *definitions) List(ctx context.Context, req *apiv1.ListDefinitionsRequest) (*apiv1.ListDefinitionsResponse, error) {
	v, err := d.s.view(ctx, req.Read)
	if err != nil {
		return nil, err
	}
	resp := &apiv1.ListDefinitionsResponse{Position: position(v).String()}
	for info := range v.Definitions() {
		resp.Definitions = append(resp.Definitions, definition(&info))
	}
	return resp, nil
}

// Delete removes one version of a definition.
func (d *definitions) Delete(ctx context.Context, req *apiv1.DeleteDefinitionRequest) (*apiv1.DeleteDefinitionResponse, error) {
	out, err := d.s.change(ctx, req.RequestId, &fsm.DeleteDefinition{Name: req.Name, Version: req.Version})
	if err != nil {
		return nil, err
	}
	return &apiv1.DeleteDefinitionResponse{Position: out.Position.String()}, nil
}

// GetTaskType gives one task type.
func (d *definitions) GetTaskType(ctx context.Context, req *apiv1.GetTaskTypeRequest) (*apiv1.GetTaskTypeResponse, error) {
	v, err := d.s.view(ctx, req.Read)
	if err != nil {
		return nil, err
	}
	info, ok := v.TaskType(req.Name)
	if !ok {
		return nil, readError(notFound("task type", req.Name))
	}
	t := taskType(&info)
	t.Source = text(info.Source)
	return &apiv1.GetTaskTypeResponse{TaskType: t, Position: position(v).String()}, nil
}

func taskType(t *fsm.TaskTypeInfo) *apiv1.TaskType {
	return &apiv1.TaskType{Name: t.Name, Created: instant(t.Created), Updated: instant(t.Updated)}
}

// ListTaskTypes gives all task types without their documents.
func (d *definitions) ListTaskTypes(ctx context.Context, req *apiv1.ListTaskTypesRequest) (*apiv1.ListTaskTypesResponse, error) {
	v, err := d.s.view(ctx, req.Read)
	if err != nil {
		return nil, err
	}
	resp := &apiv1.ListTaskTypesResponse{Position: position(v).String()}
	for info := range v.TaskTypes() {
		resp.TaskTypes = append(resp.TaskTypes, taskType(&info))
	}
	return resp, nil
}

// DeleteTaskType removes a task type.
func (d *definitions) DeleteTaskType(ctx context.Context, req *apiv1.DeleteTaskTypeRequest) (*apiv1.DeleteTaskTypeResponse, error) {
	out, err := d.s.change(ctx, req.RequestId, &fsm.DeleteTaskType{Name: req.Name})
	if err != nil {
		return nil, err
	}
	return &apiv1.DeleteTaskTypeResponse{Position: out.Position.String()}, nil
}
