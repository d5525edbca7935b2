// What the placed operations of one person mean: which count, who is live, what is kept; SPEC §7.3.
const HEADS_MOST = 16;
const RIVALS_MOST = 8;

export const key = (value) => value.toString('hex');
const nameOf = (node) => (node.name ??= key(node.id));

// The terminal that signed; null for a genesis and for a Recover.
// The names of what placed nodes, of which the last come last, follow. What a node in it follows is in it.
function pastsOf(nodes) {
  const names = new Set();
  for (const node of [...nodes].reverse()) {
    if (!names.has(nameOf(node))) node.past.forEach((name) => names.add(name));
  }
  return names;
}

export const authorOf = (node) => (node.author ??= node.op.author ? key(node.op.author) : '') || null;
export const removalsOf = ({ op }) => (op.is === 'Remove' ? [op] : op.is === 'Recover' ? op.removed : []);
const isGrant = ({ op }) => ['Add', 'Rename', 'Later'].includes(op.is);
const ascending = (nodes) => nodes.map((node) => node.id).sort(Buffer.compare);

function lower(a, b) {
  if (!a || !b) return a ?? b;
  return a.n - b.n || a.depth - b.depth || Buffer.compare(a.terminal, b.terminal);
}

export class Reduction {
  constructor(nodes, placed, genesis, { seen = [], confirmed = [] }) {
    Object.assign(this, { nodes, placed, genesis, path: [], rivals: [], contest: [], contested: false });
    [this.seen, this.confirmed] = [new Set(seen), new Set(confirmed)];
    [this.valid, this.view] = [new Set(), new Set()];
    this.before = new Map();
    this.introducing = placed.filter((node) => node.terminal);
    this.byAuthor = Map.groupBy ? Map.groupBy(placed, authorOf) : grouped(placed);
    this.walk();
    this.counts = this.counting(this.valid);
    this.again = this.counting(this.valid, false);
  }

  walk() {
    const recovers = this.placed.filter((node) => node.op.is === 'Recover');
    for (let node = this.genesis; node; ) {
      this.judge(recovers.filter((one) => !this.path.includes(one)));
      const follows = (one) => one.op.previous.equals(node.id) && this.allValid(one.past);
      node = this.choose(recovers.filter(follows));
      if (node) this.path.push(node);
    }
    this.rivals = this.rivals.filter((one) => !this.path.includes(one));
  }

  choose(children) {
    if (children.length < 2) return children[0];
    this.rivals.push(...children);
    const confirmed = children.filter((one) => this.confirmed.has(nameOf(one)));
    if (!confirmed.length) {
      if (!this.contested) this.contest = children;
      this.contested = true;
    }
    return confirmed[0] ?? children.find((one) => this.seen.has(nameOf(one)));
  }

  allValid(names) {
    return [...names].every((name) => this.valid.has(name));
  }

  // Takes into view what has none of the Recovers outside in it or in its past.
  judge(outside) {
    for (const node of this.placed) {
      if (this.view.has(nameOf(node))) continue;
      if (outside.some((one) => one === node || node.past.has(nameOf(one)))) continue;
      this.view.add(nameOf(node));
      if (this.isValid(node)) this.valid.add(nameOf(node));
    }
  }

  isValid(node) {
    if (!this.allValid(node.past)) return false;
    const author = authorOf(node);
    if (!author) return true;
    const counting = this.countingBefore(node);
    const rank = this.rank(author, counting);
    if (!rank || this.removals(author, node.past).length || this.fork(author, node.past) !== null) return false;
    if (node.op.is !== 'Remove' || key(node.op.terminal) === author) return true;
    const target = this.rank(key(node.op.terminal), counting);
    return Boolean(target) && lower(rank, target) < 0;
  }

  // What counts in the past of a node: a grant that is its only parent adds itself and changes nothing else.
  countingBefore(node) {
    const known = this.before.get(node);
    if (known) return known;
    const parents = node.op.parents.map((id) => this.nodes.get(key(id)));
    const isNext = parents.length === 1 && isGrant(parents[0]);
    const found = isNext
      ? new Set(this.countingBefore(parents[0])).add(nameOf(parents[0]))
      : this.counting(node.past);
    this.before.set(node, found);
    return found;
  }

  rank(terminal, counting) {
    const ranks = this.introducing
      .filter((node) => key(node.terminal) === terminal && counting.has(nameOf(node)))
      .map((node) => ({
        n: node.op.is === 'Recover' ? -node.op.sequence : 0,
        depth: node.depth,
        terminal: node.terminal,
        node,
      }));
    return ranks.sort(lower)[0] ?? null;
  }

  of(terminal) {
    return this.byAuthor.get(terminal) ?? [];
  }

  // The valid removals of a terminal in a context: {node, byItself, keeps}.
  removals(terminal, context) {
    this.allRemovals ??= this.placed.flatMap((node) => removalsOf(node).map((removal) => ({ node, removal })));
    return this.allRemovals
      .filter(({ removal }) => key(removal.terminal) === terminal)
      .filter(({ node }) => context.has(nameOf(node)) && this.valid.has(nameOf(node)))
      .map(({ node, removal }) => ({
        node,
        byItself: authorOf(node) === terminal,
        keeps: this.upto(removal.last),
      }));
  }

  // Whether a node is the last one or one that it follows.
  upto(last) {
    const node = last.length ? this.nodes.get(key(last)) : null;
    return (own) => own === node || Boolean(node?.past.has(nameOf(own)));
  }

  fork(terminal, context) {
    const sequences = this.of(terminal)
      .filter((node) => context.has(nameOf(node)) && this.valid.has(nameOf(node)))
      .map((node) => node.op.sequence);
    const twice = sequences.filter((one, i) => sequences.indexOf(one) !== i);
    return twice.length ? Math.min(...twice) : null;
  }

  counting(context, freezes = true) {
    const names = [this.genesis, ...this.path].map(nameOf).filter((name) => context.has(name));
    const counting = new Set(names);
    for (const node of this.introducing) {
      if (!counting.has(nameOf(node))) continue;
      const own = this.ownAfter(node, context, freezes);
      own.forEach((one) => counting.add(nameOf(one)));
    }
    return counting;
  }

  ownAfter(introducer, context, freezes) {
    const terminal = key(introducer.terminal);
    const there = (one) => context.has(nameOf(one)) && this.valid.has(nameOf(one));
    const own = this.of(terminal).filter((one) => there(one) && one.past.has(nameOf(introducer)));
    const removals = this.removals(terminal, context);
    const settled = !freezes || removals.some(({ byItself }) => !byItself);
    const fork = settled ? null : this.fork(terminal, context);
    return own.filter(
      (one) =>
        isGrant(one) && removals.every(({ keeps }) => keeps(one)) && (fork === null || one.op.sequence < fork),
    );
  }

  isThere(terminal) {
    return Boolean(this.rank(terminal, this.again));
  }

  isGone(terminal) {
    return this.removals(terminal, this.valid).length > 0 || !this.isThere(terminal);
  }

  // Open forks: the two first operations of each.
  forks() {
    const terminals = [...new Set(this.introducing.map((node) => key(node.terminal)))].sort();
    return terminals.map((terminal) => this.openFork(terminal)).filter(Boolean);
  }

  openFork(terminal) {
    const fork = this.fork(terminal, this.valid);
    const removals = this.removals(terminal, this.valid);
    if (fork === null || !this.isThere(terminal) || removals.some(({ byItself }) => !byItself)) return null;
    const reaches = this.of(terminal).some((one) => this.again.has(nameOf(one)) && one.op.sequence >= fork);
    if (removals.length && !reaches) return null;
    return this.of(terminal)
      .filter((one) => this.valid.has(nameOf(one)) && one.op.sequence === fork)
      .slice(0, 2);
  }

  // Those of some removals that each keep less than the earlier ones together.
  narrowing(terminal, removals) {
    let own = null;
    const found = [];
    for (const { node, keeps } of removals) {
      const left = (own ?? this.of(terminal).filter(isGrant)).filter(keeps);
      if (!own || left.length < own.length) found.push(node);
      own = left;
    }
    return found;
  }

  removalsKept() {
    const terminals = [...new Set(this.introducing.map((node) => key(node.terminal)))];
    return terminals
      .filter((terminal) => this.isThere(terminal))
      .flatMap((terminal) => {
        const removals = this.removals(terminal, this.valid);
        const [itself, others] = [removals.filter((r) => r.byItself), removals.filter((r) => !r.byItself)];
        return [...this.narrowing(terminal, itself), ...this.narrowing(terminal, others)];
      });
  }

  firstRivals() {
    const shown = new Map();
    return this.placed
      .filter((node) => this.rivals.includes(node))
      .filter((node) => {
        const previous = key(node.op.previous);
        shown.set(previous, (shown.get(previous) ?? 0) + 1);
        return shown.get(previous) <= RIVALS_MOST;
      });
  }

  kept() {
    const standing = this.placed.filter((node) => {
      const author = authorOf(node);
      return author && this.valid.has(nameOf(node)) && !this.isGone(author);
    });
    const first = [...this.forks().flat(), ...this.removalsKept(), ...this.firstRivals(), ...standing];
    const names = new Set([...this.again, ...first.map(nameOf)]);
    const above = pastsOf(this.placed.filter((node) => names.has(nameOf(node))));
    above.forEach((name) => names.add(name));
    return this.placed.filter((node) => names.has(nameOf(node)));
  }
}

function grouped(placed) {
  const found = new Map();
  for (const node of placed) found.set(authorOf(node), [...(found.get(authorOf(node)) ?? []), node]);
  return found;
}

// Terminals with a rank, the most senior first: {terminal, introducer, is}.
function terminalsOf(reduction) {
  const frozen = new Set(reduction.forks().map(([first]) => authorOf(first)));
  const names = [...new Set(reduction.introducing.map((node) => key(node.terminal)))];
  const ranks = names.map((name) => reduction.rank(name, reduction.counts)).filter(Boolean);
  return ranks.sort(lower).map(({ terminal, node }) => {
    const removed = reduction.removals(key(terminal), reduction.valid).length > 0;
    const is = removed ? 'removed' : frozen.has(key(terminal)) ? 'frozen' : 'live';
    return { terminal, introducer: node, is };
  });
}

function headsOf(reduction, kept, live) {
  const shown = kept.filter((node) => reduction.view.has(nameOf(node)));
  const covered = pastsOf(shown);
  const tips = shown.filter((node) => !covered.has(nameOf(node)));
  if (tips.length <= HEADS_MOST) return ascending(tips);
  const last = live.map(({ terminal }) => kept.filter((node) => authorOf(node) === key(terminal)).at(-1));
  const needed = [...reduction.path, ...last.filter(Boolean)].map(nameOf);
  const weight = (tip) => needed.filter((name) => name === nameOf(tip) || tip.past.has(name)).length;
  const ordered = [...tips].reverse().sort((a, b) => weight(b) - weight(a));
  return ascending(ordered.slice(0, HEADS_MOST));
}

// What an operation that is held but not kept needs to stay: it, or one out of view that follows it.
function lostOf(reduction, kept) {
  const outside = reduction.placed.filter((node) => !reduction.view.has(nameOf(node)));
  const stays = new Set([...kept, ...outside].map(nameOf));
  const staying = pastsOf(reduction.placed.filter((node) => stays.has(nameOf(node))));
  return reduction.placed
    .filter((node) => !stays.has(nameOf(node)) && !staying.has(nameOf(node)))
    .sort((a, b) => Buffer.compare(a.id, b.id));
}

function sequencesOf(kept) {
  const found = new Map();
  for (const node of kept) {
    const author = authorOf(node);
    if (author) found.set(author, Math.max(found.get(author) ?? 0, node.op.sequence));
  }
  return found;
}

function lastOf(reduction, kept, terminal) {
  const own = (node) => authorOf(node) === key(terminal) && reduction.valid.has(nameOf(node));
  return kept.filter(own).at(-1) ?? null;
}

function countingOf(reduction, kept) {
  const removes = kept.filter((node) => node.op.is === 'Remove' && reduction.valid.has(nameOf(node)));
  return [...reduction.placed.filter((node) => reduction.counts.has(nameOf(node))), ...removes];
}

export function results(reduction) {
  const { nodes, placed, genesis, path } = reduction;
  const [kept, established, newest] = [reduction.kept(), terminalsOf(reduction), path.at(-1) ?? genesis];
  const being = (what) => established.filter(({ is }) => is === what);
  const renames = placed.filter((node) => node.op.is === 'Rename' && reduction.counts.has(nameOf(node)));
  const senior = established.find(({ is }) => is !== 'removed');
  return {
    person: genesis.id,
    name: renames.at(-1)?.op.name ?? '',
    newest: newest.id,
    recovery: newest.op.recovery,
    recoveries: newest.op.sequence ?? 0,
    rivals: ascending(reduction.rivals.filter((node) => kept.includes(node))),
    contested: reduction.contested,
    contest: reduction.contest,
    terminals: [...being('live'), ...being('frozen'), ...being('removed')],
    live: being('live'),
    last: new Map(established.map(({ terminal }) => [key(terminal), lastOf(reduction, kept, terminal)])),
    forks: reduction.forks(),
    kept,
    lost: lostOf(reduction, kept),
    sequence: sequencesOf(kept),
    heads: headsOf(reduction, kept, being('live')),
    pending: ascending([...nodes.values()].filter((node) => node.depth === undefined)),
    counting: ascending(countingOf(reduction, kept)),
    senior: senior ? key(senior.terminal) : null,
    isGone: (author) => reduction.isGone(author),
    valid: reduction.valid,
    nodes,
    path,
  };
}
