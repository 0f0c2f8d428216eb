package fsm

import (
	"iter"

	"github.com/pawlhq/pawl/fsm/expr"
)

// Bounds of settings.
const (
	// MaxSettings bounds the secrets, and the variables of the environment.
	MaxSettings = 10_000
	// MaxSetting bounds the value of one, in bytes.
	MaxSetting = 64 << 10
)

// PutSecret sets a secret, which templates name as ${workflow.secrets.NAME}. It is
// filled in where a task is handed to its worker, and no read shows it.
type PutSecret struct{ Name, Value string }

// DeleteSecret forgets a secret. Templates that name it find nothing.
type DeleteSecret struct{ Name string }

// PutVariable sets a variable of the environment, which templates read as
// ${workflow.env.NAME}.
type PutVariable struct{ Name, Value string }

// DeleteVariable forgets a variable of the environment.
type DeleteVariable struct{ Name string }

func (*PutSecret) kind() kind      { return kindPutSecret }
func (*DeleteSecret) kind() kind   { return kindDeleteSecret }
func (*PutVariable) kind() kind    { return kindPutVariable }
func (*DeleteVariable) kind() kind { return kindDeleteVariable }

func appendSetting(w *writer, name, value string) {
	w.str(1, name)
	w.str(2, value)
}

func settingField(r *reader, name, value *string) {
	switch r.tag {
	case 1:
		*name = r.str()
	case 2:
		*value = r.str()
	default:
		r.unknown()
	}
}

func (c *PutSecret) append(w *writer)      { appendSetting(w, c.Name, c.Value) }
func (c *PutSecret) field(r *reader)       { settingField(r, &c.Name, &c.Value) }
func (c *DeleteSecret) append(w *writer)   { w.str(1, c.Name) }
func (c *DeleteSecret) field(r *reader)    { c.Name = onlyString(r) }
func (c *PutVariable) append(w *writer)    { appendSetting(w, c.Name, c.Value) }
func (c *PutVariable) field(r *reader)     { settingField(r, &c.Name, &c.Value) }
func (c *DeleteVariable) append(w *writer) { w.str(1, c.Name) }
func (c *DeleteVariable) field(r *reader)  { c.Name = onlyString(r) }

func (c *PutSecret) validate() *Rejection      { return checkSetting(c.Name, c.Value) }
func (c *DeleteSecret) validate() *Rejection   { return checkSettingName(c.Name) }
func (c *PutVariable) validate() *Rejection    { return checkSetting(c.Name, c.Value) }
func (c *DeleteVariable) validate() *Rejection { return checkSettingName(c.Name) }

// checkSettingName lets names be written in a path without quotes.
func checkSettingName(name string) *Rejection {
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
		default:
			return badField("name", "may have letters, digits, _ and -")
		}
	}
	return checkName("name", name, true)
}

func checkSetting(name, value string) *Rejection {
	if len(value) > MaxSetting {
		return badField("value", "takes ", itoa(int64(len(value))), " bytes; at most ", itoa(MaxSetting), " are allowed")
	}
	return first(checkSettingName(name), checkText("value", value))
}

// setting is a secret or a variable of the environment.
type setting struct {
	value            string
	created, updated Millis
}

type settings = rows[string, setting]

func encodeSettingRow(w *writer, name string, s setting) {
	w.str(1, name)
	w.str(2, s.value)
	w.int(3, int64(s.created))
	w.int(4, int64(s.updated))
}

func decodeSettingRow(r *reader) (name string, s setting) {
	for r.next() {
		switch r.tag {
		case 1:
			name = r.str()
		case 2:
			s.value = r.str()
		case 3:
			s.created = Millis(r.int())
		case 4:
			s.updated = Millis(r.int())
		default:
			r.unknown()
		}
	}
	return name, s
}

func (s *State) putSetting(t *settings, kind EventKind, name, value string) (Result, *Rejection) {
	old, known := t.get(name)
	switch {
	case !known && t.tree.Len() >= MaxSettings:
		return Result{}, reject(Exhausted, "there are ", itoa(MaxSettings), " of them, and no more are kept: delete some")
	case !known:
		old.created = s.now
	case old.value == value:
		return Result{Repeated: true}, nil
	}
	t.put(name, setting{value: value, created: old.created, updated: s.now})
	s.emit(Event{Kind: kind, Ref: name})
	return Result{}, nil
}

func (s *State) deleteSetting(t *settings, kind EventKind, what, name string) (Result, *Rejection) {
	if !t.drop(name) {
		return Result{}, notFound("No such ", what, ": ", name)
	}
	s.emit(Event{Kind: kind, Ref: name})
	return Result{}, nil
}

func (s *State) doSetting(b Body) (Result, *Rejection) {
	switch c := b.(type) {
	case *PutSecret:
		return s.putSetting(s.secrets, SecretPut, c.Name, c.Value)
	case *DeleteSecret:
		return s.deleteSetting(s.secrets, SecretDeleted, "secret", c.Name)
	case *PutVariable:
		return s.putSetting(s.environment, VariablePut, c.Name, c.Value)
	case *DeleteVariable:
		return s.deleteSetting(s.environment, VariableDeleted, "variable", c.Name)
	}
	panic("fsm: command without a handler")
}

// SettingInfo is a secret or a variable of the environment as readers see it.
type SettingInfo struct {
	Name    string
	Value   string // empty for a secret
	Created Millis
	Updated Millis
}

// Secrets gives the names of all secrets, ascending. Their values are not shown.
func (v View) Secrets() iter.Seq[SettingInfo] {
	return func(yield func(SettingInfo) bool) {
		if v.s == nil {
			return
		}
		for name, x := range v.s.secrets.tree.All() {
			if !yield(SettingInfo{Name: name, Created: x.created, Updated: x.updated}) {
				return
			}
		}
	}
}

// Environment gives the variables of the environment by name, ascending.
func (v View) Environment() iter.Seq[SettingInfo] {
	return func(yield func(SettingInfo) bool) {
		if v.s == nil {
			return
		}
		for name, x := range v.s.environment.tree.All() {
			if !yield(SettingInfo{Name: name, Value: x.value, Created: x.created, Updated: x.updated}) {
				return
			}
		}
	}
}

// NeedsSettings reports whether View.Complete may have something to fill in.
func (l *Leased) NeedsSettings() bool { return len(l.Wants) > 0 || expr.MayNameSecret(l.Input) }

// Complete fills in what State never holds with a task: the secrets that its input
// names, and the values that its task type wants told. It is for whoever hands the
// task to its worker; what it returns must be stored nowhere.
func (v View) Complete(l Leased) Leased {
	if v.s == nil {
		return l
	}
	secret := func(name string) (string, bool) {
		x, ok := v.s.secrets.get(name)
		return x.value, ok
	}
	l.Input = expr.FillSecrets(l.Input, secret)
	for _, name := range l.Wants {
		value, ok := secret(name)
		if !ok {
			var x setting
			x, ok = v.s.environment.get(name)
			value = x.value
		}
		if ok {
			l.Told = append(l.Told, SettingInfo{Name: name, Value: value})
		}
	}
	return l
}

// environmentValue answers ${workflow.env.NAME} and a path into its value.
func (s *State) environmentValue(p *expr.Path, b *expr.Budget) (v expr.Value, ok bool, err error) {
	if p.Root() != "workflow" {
		return v, false, nil
	}
	if second, _ := p.Second(); second != "env" {
		return v, false, nil
	}
	name, rest, ok := p.Third()
	x, known := s.environment.get(name)
	if !ok || !known {
		return expr.Raw([]byte("null")), true, nil
	}
	v, err = expr.Setting(x.value, rest, b)
	return v, true, err
}

// Resolve answers what a template reads of the environment.
func (v *rootEnv) Resolve(p *expr.Path, b *expr.Budget) (expr.Value, bool, error) {
	return v.s.environmentValue(p, b)
}
