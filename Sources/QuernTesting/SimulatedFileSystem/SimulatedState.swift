// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// All of a simulated file system, as a plain value: names, contents, locks, open files, and the counted calls.
///
/// Its functions answer as Linux does. They know nothing of faults: the file system asks ``monitor`` first.
struct SimulatedState: Sendable {
    typealias Node = SimulatedNames.Node
    typealias Name = SimulatedNames.Name

    /// A file cannot grow beyond: its bytes are all in memory.
    static let longestFile = 1 << 32

    var names = SimulatedNames()
    var files: [Node: SimulatedFileContent] = [:]
    var locked: Set<Node> = []
    var monitor = CallMonitor()
    private var openCounts: [Node: Int] = [:]
    private var lastNode: Node = SimulatedNames.root

    init() {}

    init(names: SimulatedNames, files: [Node: SimulatedFileContent]) {
        self.names = names
        self.files = files
        lastNode = max(names.mentioned.max() ?? 0, files.keys.max() ?? 0)
    }

    // MARK: Paths

    /// A path taken apart: the last name, the node under it if there is one, and the directories on the way.
    struct Place {
        /// Nil where the path does not end in a name: for the root, and after `.` and `..`.
        var name: Name?
        var node: Node?
        var ancestors: [Node]
    }

    private func parts(of path: FilePath) throws(Errno) -> [String] {
        // Not `components`, whose checks take most of the time of a debug build.
        let parts = path.string.split(separator: "/").map(String.init)
        if parts.contains(where: { $0.utf8.count > 255 }) { throw .fileNameTooLong }
        return parts
    }

    func locate(_ path: FilePath) throws(Errno) -> Place {
        var place = Place(name: nil, node: SimulatedNames.root, ancestors: [])
        for part in try parts(of: path) {
            guard let node = place.node else { throw .noSuchFileOrDirectory }
            guard names.isDirectory(node) else { throw .notDirectory }
            place = step(from: place, node, to: part)
        }
        return place
    }

    /// - Parameter directory: the node of `place`.
    private func step(from place: Place, _ directory: Node, to part: String) -> Place {
        switch part {
        case ".":
            return Place(name: nil, node: directory, ancestors: place.ancestors)
        case "..":
            // The root is its own parent.
            let parent = place.ancestors.last ?? directory
            return Place(name: nil, node: parent, ancestors: place.ancestors.dropLast())
        default:
            let name = Name(directory: directory, text: part)
            return Place(name: name, node: names.node(name), ancestors: place.ancestors + [directory])
        }
    }

    func directory(_ path: FilePath) throws(Errno) -> Node {
        guard let node = try locate(path).node else { throw .noSuchFileOrDirectory }
        guard names.isDirectory(node) else { throw .notDirectory }
        return node
    }

    func file(_ path: FilePath) throws(Errno) -> Node {
        guard let node = try locate(path).node else { throw .noSuchFileOrDirectory }
        if names.isDirectory(node) { throw .isDirectory }
        return node
    }

    // MARK: Names

    mutating func createFile(_ path: FilePath) throws(Errno) -> Node {
        let place = try locate(path)
        guard place.node == nil, let name = place.name else { throw .fileExists }
        let node = newNode()
        files[node] = SimulatedFileContent()
        names.make(SimulatedNames.Change(node: node, to: name))
        return node
    }

    mutating func createDirectory(_ path: FilePath) throws(Errno) {
        let parts = try parts(of: path)
        var place = Place(name: nil, node: SimulatedNames.root, ancestors: [])
        var directory = SimulatedNames.root
        for (index, part) in parts.enumerated() {
            place = step(from: place, directory, to: part)
            if let node = place.node {
                guard names.isDirectory(node) else {
                    throw index == parts.count - 1 ? .fileExists : .notDirectory
                }
                directory = node
            } else if let name = place.name {
                directory = newNode()
                names.addDirectory(directory, as: name)
                place.node = directory
            }
        }
    }

    mutating func rename(_ source: FilePath, to target: FilePath) throws(Errno) {
        let from = try locate(source)
        let to = try locate(target)
        guard let fromName = from.name, let toName = to.name else { throw .resourceBusy }
        guard let node = from.node else { throw .noSuchFileOrDirectory }
        if to.ancestors.contains(node) { throw .invalidArgument }
        if let replaced = to.node {
            if from.ancestors.contains(replaced) { throw .directoryNotEmpty }
            if replaced == node { return }
            switch (names.isDirectory(node), names.isDirectory(replaced)) {
            case (false, true): throw .isDirectory
            case (true, false): throw .notDirectory
            case (true, true): if !names.live[replaced, default: [:]].isEmpty { throw .directoryNotEmpty }
            case (false, false): break
            }
        }
        names.make(SimulatedNames.Change(node: node, from: fromName, to: toName))
    }

    mutating func remove(_ path: FilePath) throws(Errno) {
        let node = try file(path)
        names.make(SimulatedNames.Change(node: node, from: try locate(path).name))
    }

    mutating func synchronizeDirectory(_ path: FilePath) throws(Errno) {
        names.synchronize(try directory(path))
        sweep()
    }

    private mutating func newNode() -> Node {
        lastNode += 1
        return lastNode
    }

    // MARK: Open files

    mutating func retain(_ node: Node) { openCounts[node, default: 0] += 1 }

    mutating func release(_ node: Node) {
        let count = openCounts[node, default: 0] - 1
        openCounts[node] = count > 0 ? count : nil
    }

    /// Frees what neither a name nor an open file leads to, now or after a crash.
    private mutating func sweep() {
        let kept = names.mentioned.union(openCounts.keys)
        files = files.filter { kept.contains($0.key) }
        names.forget(Set(names.live.keys).subtracting(kept))
    }

    // MARK: Content

    /// Writes all of the bytes, or as many as the plan's capacity leaves room for.
    ///
    /// - Returns: how many were written, and why not all.
    mutating func write(_ bytes: UnsafeRawBufferPointer, to node: Node, at offset: Int) -> (Int, Errno?) {
        guard offset >= 0 else { return (0, .invalidArgument) }
        let (end, isTooFar) = offset.addingReportingOverflow(bytes.count)
        guard !isTooFar, end <= Self.longestFile else { return (0, .fileTooLarge) }
        let length = files[node, default: SimulatedFileContent()].live.count
        let room = roomToGrow.map { $0.addingReportingOverflow(length) }.map { $0.overflow ? Int.max : $0.partialValue }
        guard let room, end > length, end > room else {
            files[node, default: SimulatedFileContent()].write(bytes, at: offset)
            return (bytes.count, nil)
        }
        let fitting = monitor.plan.fullDiskTakesWhatFits ? max(0, room - offset) : 0
        if fitting > 0 {
            let part = UnsafeRawBufferPointer(rebasing: bytes.prefix(fitting))
            files[node, default: SimulatedFileContent()].write(part, at: offset)
        }
        return (fitting, monitor.plan.capacityErrno)
    }

    /// How many bytes the files may still grow by, or nil without a limit.
    private var roomToGrow: Int? {
        guard let capacity = monitor.plan.capacity else { return nil }
        return max(0, capacity - usedBytes)
    }

    /// The length of all files that have a name or are open.
    var usedBytes: Int {
        let kept = names.named.union(openCounts.keys)
        return files.reduce(0) { kept.contains($1.key) ? $0 + $1.value.live.count : $0 }
    }
}
