// What the placed operations of one person mean: which count, who is live, what is kept; SPEC §7.3.
const HEADS_MOST = 16;
const RIVALS_MOST = 8;

export const key = (value) => value.toString('hex');
const nameOf = (node) => (node.name ??= key(node.id));

// The names of what placed nodes, of which the last come last, follow. What a node in it follows is in it.
function pastsOf(nodes) {
  const names = new Set();
  for (const node of [...nodes].reverse()) {
    if (!names.has(nameOf(node))) node.past.forEach((name) => names.add(name));
  }
  return names;
}

// The terminal that signed; null for a genesis and for a Recover.
export const authorOf = (node) => (node.author ??= node.op.author ? key(node.op.author) : '') || null;
export const removalsOf = ({ op }) => (op.is === 'Remove' ? [op] : op.is === 'Recover' ? op.removed : []);
const isSignedGrant = ({ op }) => ['Add', 'Rename', 'Renew', 'Later'].includes(op.is);
const isFollowed = (name, node) => name === nameOf(node) || node.past.has(name);
const ascending = (nodes) => nodes.map((node) => node.id).sort(Buffer.compare);

export const byRank = (a, b) => a.n - b.n || a.depth - b.depth || Buffer.compare(a.terminal, b.terminal);

function grouped(items, of) {
  const found = new Map();
  for (const item of items) found.set(of(item), [...(found.get(of(item)) ?? []), item]);
  return found;
}

export class Reduction {
  constructor(nodes, placed, genesis, { seen = [], confirmed = [] }) {
    Object.assign(this, { nodes, placed, genesis, path: [], rivals: [], contest: [], contested: false });
    [this.seen, this.confirmed] = [new Set(seen), new Set(confirmed)];
    this.introducing = placed.filter((node) => node.terminal);
    this.terminals = [...new Set(this.introducing.map((node) => key(node.terminal)))];
    this.byAuthor = grouped(placed, authorOf);
    const removals = placed.flatMap((node) => removalsOf(node).map((removal) => this.removal(node, removal)));
    this.removed = grouped(removals, ({ terminal }) => terminal);
    [this.all, this.numbers, this.before, this.recovers] = [new Set(), new Map(), new Map(), []];
    for (const node of placed) if (this.isValid(node)) this.all.add(nameOf(node));
    this.walk();
    this.view = new Set(placed.filter((node) => this.isInView(node)).map(nameOf));
    this.valid = new Set([...this.all].filter((name) => this.view.has(name)));
    this.counts = this.counting(this.valid);
  }

  removal(node, { terminal, keep }) {
    const kept = keep.map((id) => this.nodes.get(key(id)));
    const keeps = (own) => kept.some((one) => isFollowed(nameOf(own), one));
    return { node, terminal: key(terminal), keeps };
  }

  numberOf(node) {
    return this.numbers.get(nameOf(node)) ?? 0;
  }

  // The newest recovery in the past of a node, or the genesis; null where they are not one chain.
  newestBefore(node) {
    const known = this.recovers.filter((one) => node.past.has(nameOf(one)));
    let [newest] = [this.genesis];
    for (const one of known) if (this.numberOf(one) > this.numberOf(newest)) newest = one;
    let length = 0;
    for (let one = newest; one !== this.genesis; one = this.nodes.get(key(one.op.previous))) length++;
    return length === known.length ? newest : null;
  }

  isValid(node) {
    if (node === this.genesis) return true;
    if (!node.op.parents.every((id) => this.all.has(key(id)))) return false;
    const newest = this.newestBefore(node);
    if (!newest) return false;
    if (node.op.is === 'Recover') {
      if (!node.op.previous.equals(newest.id)) return false;
      this.numbers.set(nameOf(node), this.numberOf(newest) + 1);
      this.recovers.push(node);
      return true;
    }
    const [author, counting] = [authorOf(node), this.countingBefore(node)];
    const rank = this.rank(author, counting);
    if (!rank || this.removals(author, node.past).length) return false;
    if (node.op.is !== 'Remove' || key(node.op.terminal) === author) return true;
    const target = this.rank(key(node.op.terminal), counting);
    return Boolean(target) && byRank(rank, target) < 0;
  }

  // What counts in the past of a node: a grant that is its only parent adds itself and changes nothing else.
  countingBefore(node) {
    const known = this.before.get(node);
    if (known) return known;
    const parents = node.op.parents.map((id) => this.nodes.get(key(id)));
    const found =
      parents.length === 1 && isSignedGrant(parents[0])
        ? new Set(this.countingBefore(parents[0])).add(nameOf(parents[0]))
        : this.counting(node.past);
    this.before.set(node, found);
    return found;
  }

  of(terminal) {
    return this.byAuthor.get(terminal) ?? [];
  }

  // The removals of a terminal in a context of valid operations: {node, terminal, keeps}.
  removals(terminal, context) {
    return (this.removed.get(terminal) ?? []).filter(({ node }) => context.has(nameOf(node)));
  }

  // `denying`: the removals in it alone are looked at.
  counting(context, denying = context) {
    const always = [this.genesis, ...this.recovers].map(nameOf);
    const counting = new Set(always.filter((name) => context.has(name)));
    for (const introducer of this.introducing.filter((node) => context.has(nameOf(node)))) {
      if (!counting.has(nameOf(introducer))) continue;
      const terminal = key(introducer.terminal);
      const removals = this.removals(terminal, denying);
      for (const own of this.of(terminal)) {
        if (!isSignedGrant(own) || !context.has(nameOf(own)) || !own.past.has(nameOf(introducer))) continue;
        if (removals.every(({ keeps }) => keeps(own))) counting.add(nameOf(own));
      }
    }
    return counting;
  }

  // The operations that bring in a terminal, of those in a set of names.
  introducers(terminal, names) {
    return this.introducing.filter((node) => key(node.terminal) === terminal && names.has(nameOf(node)));
  }

  rank(terminal, names) {
    const ranks = this.introducers(terminal, names).map((node) => ({
      n: -this.numberOf(node),
      depth: node.depth,
      terminal: node.terminal,
      node,
    }));
    return ranks.sort(byRank)[0] ?? null;
  }

  // The names of the terminals that are live in a context.
  liveIn(context, denying = context) {
    const counting = this.counting(context, denying);
    const isThere = (terminal) => this.introducers(terminal, counting).length > 0;
    return this.terminals.filter((one) => isThere(one) && !this.removals(one, denying).length);
  }

  // The ids of those that are live after these operations, the most senior there first.
  liveAfter(ids) {
    const named = ids.map((id) => this.nodes.get(key(id)));
    const context = new Set(named.flatMap((node) => [nameOf(node), ...node.past]));
    const ranks = this.liveIn(context).map((name) => this.rank(name, this.counting(context, context)));
    return ranks.sort(byRank).map(({ terminal }) => terminal);
  }

  walk() {
    const children = grouped(this.recovers, ({ op }) => key(op.previous));
    for (let node = this.genesis; node; ) {
      node = this.choose(children.get(nameOf(node)) ?? []);
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

  isInView(node) {
    const outside = this.recovers.filter((one) => !this.path.includes(one));
    return !outside.some((one) => isFollowed(nameOf(one), node));
  }

  isGone(terminal) {
    return this.removals(terminal, this.valid).length > 0 || !this.introducers(terminal, this.counts).length;
  }

  // The removals of a terminal that each keep less than the earlier ones together.
  removalsKept(terminal) {
    let left = null;
    const own = this.of(terminal).filter((node) => isSignedGrant(node) && this.valid.has(nameOf(node)));
    return this.removals(terminal, this.valid).filter(({ keeps }) => {
      const before = left;
      left = (before ?? own).filter(keeps);
      return !before || left.length < before.length;
    });
  }

  firstRivals() {
    const follow = grouped(
      this.placed.filter((node) => this.rivals.includes(node)),
      ({ op }) => key(op.previous),
    );
    return [...follow.values()].flatMap((those) => those.slice(0, RIVALS_MOST));
  }

  kept() {
    const standing = this.placed.filter((node) => {
      const author = authorOf(node);
      return author && this.valid.has(nameOf(node)) && !this.isGone(author);
    });
    const removals = [...this.removed.keys()].flatMap((one) => this.removalsKept(one)).map(({ node }) => node);
    const names = new Set([...this.counts, ...[...removals, ...this.firstRivals(), ...standing].map(nameOf)]);
    const above = pastsOf(this.placed.filter((node) => names.has(nameOf(node))));
    above.forEach((name) => names.add(name));
    return this.placed.filter((node) => names.has(nameOf(node)));
  }

  // Of each terminal that is not gone the first two operations of which neither knows the other.
  copied() {
    return this.terminals
      .filter((terminal) => !this.isGone(terminal))
      .sort()
      .map((terminal) => ({ terminal, pair: this.apart(terminal) }))
      .filter(({ pair }) => pair);
  }

  apart(terminal) {
    const own = this.of(terminal).filter((node) => this.valid.has(nameOf(node)));
    for (const [at, node] of own.entries()) {
      const first = own.slice(0, at).find((one) => !node.past.has(nameOf(one)));
      if (first) return [first, node];
    }
    return null;
  }

  // How good what an operation draws is: 2 fresh, 1 counts, 0 fallen.
  standing(node) {
    if (!this.counts.has(nameOf(node))) return 0;
    const known = new Set([...node.past, nameOf(node)]);
    const [live, then] = [this.liveIn(this.valid), this.liveIn(known)];
    const without = this.liveIn(this.valid, known);
    if (without.length !== live.length || !without.every((one) => live.includes(one))) return 1;
    const follows = (one) => this.introducers(one, this.counts).some((by) => by.past.has(nameOf(node)));
    return live.every((one) => then.includes(one) || follows(one)) ? 2 : 1;
  }
}

const STANDINGS = ['fallen', 'counts', 'fresh'];

// What draws keys, the best first: {node, standing}.
function drawnOf(reduction, kept) {
  const drawing = kept.filter(
    (node) => ['Genesis', 'Renew'].includes(node.op.is) && reduction.valid.has(nameOf(node)),
  );
  const found = drawing.map((node) => ({ node, standing: reduction.standing(node) })).reverse();
  return found
    .sort((a, b) => b.standing - a.standing)
    .map(({ node, standing }) => ({ node, standing: STANDINGS[standing] }));
}

// All terminals, the most senior first: {terminal, introducer, is}, and what byRank compares.
function terminalsOf(reduction, kept) {
  const there = new Set(kept.map(nameOf).filter((name) => reduction.valid.has(name)));
  const ranks = reduction.terminals
    .map((name) => reduction.rank(name, reduction.counts) ?? reduction.rank(name, there))
    .filter(Boolean);
  return ranks.sort(byRank).map(({ node, ...rank }) => {
    const is = reduction.isGone(key(rank.terminal)) ? 'gone' : 'live';
    return { ...rank, introducer: node, is };
  });
}

function headsOf(reduction, kept, live) {
  const shown = kept.filter((node) => reduction.view.has(nameOf(node)));
  const covered = pastsOf(shown);
  const tips = shown.filter((node) => !covered.has(nameOf(node)));
  if (tips.length <= HEADS_MOST) return ascending(tips);
  const last = live.map(({ terminal }) => kept.filter((node) => authorOf(node) === key(terminal)).at(-1));
  const needed = [...new Set([...reduction.path, ...last.filter(Boolean)].map(nameOf))];
  const weight = (tip) => needed.filter((name) => isFollowed(name, tip)).length;
  const ordered = [...tips].reverse().sort((a, b) => weight(b) - weight(a));
  return ascending(ordered.slice(0, HEADS_MOST));
}

// What can never count again: it is in view, not kept, and nothing out of view follows it.
function lostOf(reduction, kept) {
  const outside = reduction.placed.filter((node) => !reduction.view.has(nameOf(node)));
  const stays = new Set([...kept, ...outside].map(nameOf));
  const staying = pastsOf(reduction.placed.filter((node) => stays.has(nameOf(node))));
  return reduction.placed
    .filter((node) => !stays.has(nameOf(node)) && !staying.has(nameOf(node)))
    .sort((a, b) => Buffer.compare(a.id, b.id));
}

function countingOf(reduction, kept) {
  const removes = kept.filter((node) => node.op.is === 'Remove' && reduction.valid.has(nameOf(node)));
  return [...reduction.placed.filter((node) => reduction.counts.has(nameOf(node))), ...removes];
}

export function results(reduction) {
  const { nodes, placed, genesis, path } = reduction;
  const kept = reduction.kept();
  const [terminals, newest] = [terminalsOf(reduction, kept), path.at(-1) ?? genesis];
  const being = (what) => terminals.filter(({ is }) => is === what);
  const renames = placed.filter((node) => node.op.is === 'Rename' && reduction.counts.has(nameOf(node)));
  const [senior] = being('live');
  return {
    person: genesis.id,
    name: renames.at(-1)?.op.name ?? '',
    newest: newest.id,
    recovery: newest.op.recovery,
    rivals: ascending(reduction.rivals.filter((node) => kept.includes(node))),
    contested: reduction.contested,
    contest: reduction.contest,
    terminals,
    live: being('live'),
    gone: being('gone'),
    removed: being('gone').filter(({ terminal }) => reduction.removals(key(terminal), reduction.valid).length),
    copied: reduction.copied(),
    drawn: drawnOf(reduction, kept),
    kept,
    lost: lostOf(reduction, kept),
    heads: headsOf(reduction, kept, being('live')),
    pending: ascending([...nodes.values()].filter((node) => node.depth === undefined)),
    counting: ascending(countingOf(reduction, kept)),
    senior: senior ? key(senior.terminal) : null,
    isGone: (author) => reduction.isGone(author),
    liveAfter: (ids) => reduction.liveAfter(ids),
    valid: reduction.valid,
    nodes,
    path,
  };
}
