// SPDX-License-Identifier: Apache-2.0

/// The directories of a simulated file system: which name means which file, for those who look now and on the disk.
///
/// Every change of names is kept, in order, until a sync of a directory that it touches makes it durable.
struct SimulatedNames: Sendable {
    /// A file or directory, whatever its names.
    typealias Node = Int

    struct Name: Hashable, Sendable {
        var directory: Node
        var text: String
    }

    /// A node appears under a name, vanishes from one, or does both in one step.
    struct Change: Sendable {
        var node: Node
        var from: Name?
        var to: Name?

        var names: [Name] { [from, to].compactMap { $0 } }
    }

    typealias Entries = [Node: [String: Node]]

    static let root: Node = 0

    private(set) var live: Entries = [root: [:]]
    private(set) var durable: Entries = [root: [:]]
    private(set) var unsynced: [Change] = []

    init() {}

    /// Directories that are on the disk as they are.
    init(durable entries: Entries) {
        live = entries
        durable = entries
    }

    func isDirectory(_ node: Node) -> Bool { live[node] != nil }

    func node(_ name: Name) -> Node? { live[name.directory]?[name.text] }

    mutating func addDirectory(_ node: Node, as name: Name) {
        live[node] = [:]
        durable[node] = [:]
        make(Change(node: node, to: name))
    }

    mutating func make(_ change: Change) {
        Self.apply(change, to: &live)
        unsynced.append(change)
    }

    /// Makes durable what concerns `directory`, and of the rest only what that rests on.
    mutating func synchronize(_ directory: Node) {
        settle { $0.names.contains { $0.directory == directory } }
    }

    /// Makes everything durable.
    mutating func synchronizeAll() { settle { _ in true } }

    private mutating func settle(_ isWanted: (Change) -> Bool) {
        let chosen = Self.completing(unsynced, unsynced.map(isWanted))
        for (change, isChosen) in zip(unsynced, chosen) where isChosen { Self.apply(change, to: &durable) }
        unsynced = zip(unsynced, chosen).filter { !$0.1 }.map(\.0)
    }

    /// Adds to a choice of changes the earlier ones under the same names: no file system forgets that a file was
    /// created and remembers that it was renamed.
    static func completing(_ changes: [Change], _ chosen: [Bool]) -> [Bool] {
        var chosen = chosen
        var needed: Set<Name> = []
        for index in changes.indices.reversed() {
            let names = changes[index].names
            if chosen[index] || names.contains(where: needed.contains) {
                chosen[index] = true
                needed.formUnion(names)
            }
        }
        return chosen
    }

    static func apply(_ change: Change, to entries: inout Entries) {
        if let from = change.from, entries[from.directory]?[from.text] == change.node {
            entries[from.directory]?[from.text] = nil
        }
        if let to = change.to { entries[to.directory]?[to.text] = change.node }
    }

    /// The nodes that some name leads to or may lead to after a crash.
    var mentioned: Set<Node> {
        var nodes = Set(unsynced.map(\.node))
        nodes.insert(Self.root)
        for entries in live.values { nodes.formUnion(entries.values) }
        for entries in durable.values { nodes.formUnion(entries.values) }
        return nodes
    }

    /// The nodes that can be opened by a name now.
    var named: Set<Node> { Self.reachable(in: live) }

    /// The nodes that a walk from the root meets.
    static func reachable(in entries: Entries) -> Set<Node> {
        var found: Set<Node> = [root]
        var open = [root]
        while let directory = open.popLast() {
            for node in entries[directory, default: [:]].values where found.insert(node).inserted {
                open.append(node)
            }
        }
        return found
    }

    mutating func forget(_ nodes: Set<Node>) {
        for node in nodes {
            live[node] = nil
            durable[node] = nil
        }
    }
}
