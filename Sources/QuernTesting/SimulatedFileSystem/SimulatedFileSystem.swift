// SPDX-License-Identifier: Apache-2.0
public import QuernStore
import Synchronization
public import SystemPackage

/// A file system in memory that can lose power, fill up, and fail at the call of your choice.
///
/// It answers as `PosixFileSystem` does on Linux, and remembers what would be on the disk: a file's content as of its
/// last `synchronize()`, and names as of the last ``synchronizeDirectory(_:)``. Syncing a file does not make its name
/// durable, nor the other way round.
///
/// ```swift
/// let files = SimulatedFileSystem()
/// try files.createDirectory("/store")
/// var plan = FaultPlan()
/// plan.crashAfterCall = 7                                 // the machine stops after the seventh change
/// files.faults = plan
/// try? useTheStore(on: files)
/// let remains = files.crash(keeping: .random(seed: 42))   // another file system: what the power loss left
/// try checkTheStore(on: remains)
/// ```
///
/// Nothing depends on time, on chance without a seed, or on the order in which a dictionary happens to list its keys:
/// equal calls give equal answers. Paths are absolute, or taken as if they were; the root exists. There are no links.
///
/// A mapping shows the bytes as they were when it was made. (Of the operating system it shows later writes too, on
/// which nothing may rest: the store never writes to mapped bytes again.)
public final class SimulatedFileSystem: FileSystem {
    private let state: Mutex<SimulatedState>

    /// An empty file system.
    public convenience init() { self.init(SimulatedState()) }

    init(_ state: SimulatedState) { self.state = Mutex(state) }

    // MARK: The calls

    public func open(_ path: FilePath, _ mode: FileOpenMode) throws(FileError) -> any StoreFile {
        let node = try perform(.open, path, changing: mode == .createNew) { (state) throws(Errno) in
            let node = mode == .createNew ? try state.createFile(path) : try state.file(path)
            state.retain(node)
            return node
        }
        return SimulatedFile(path: path, on: self, node, isWritable: mode != .readOnly)
    }

    /// The names in a directory, in an order that is the same each time and otherwise means nothing.
    public func list(_ directory: FilePath) throws(FileError) -> [String] {
        let names = try perform(.list, directory) { (state) throws(Errno) in
            Array(state.names.live[try state.directory(directory), default: [:]].keys)
        }
        return names.map { (SeededGenerator.hash($0), $0) }.sorted { $0 < $1 }.map(\.1)
    }

    public func createDirectory(_ path: FilePath) throws(FileError) {
        try perform(.createDirectory, path, changing: true) { (state) throws(Errno) in
            try state.createDirectory(path)
            var parent = path.removingLastComponent()
            while !parent.isEmpty {
                try state.synchronizeDirectory(parent)
                if parent == parent.removingLastComponent() { break }
                parent = parent.removingLastComponent()
            }
        }
    }

    public func rename(_ source: FilePath, to target: FilePath) throws(FileError) {
        try perform(.rename, source, changing: true) { (state) throws(Errno) in
            try state.rename(source, to: target)
        }
    }

    public func remove(_ path: FilePath) throws(FileError) {
        try perform(.remove, path, changing: true) { (state) throws(Errno) in try state.remove(path) }
    }

    public func synchronizeDirectory(_ path: FilePath) throws(FileError) {
        try perform(.synchronizeDirectory, path, changing: true) { (state) throws(Errno) in
            try state.synchronizeDirectory(path)
        }
    }

    public func lock(_ path: FilePath) throws(FileError) -> any FileLock {
        let node = try perform(.lock, path, changing: true) { (state) throws(Errno) in
            let node =
                try state.locate(path).node == nil ? try state.createFile(path) : try state.file(path)
            guard state.locked.insert(node).inserted else { throw .resourceTemporarilyUnavailable }
            state.retain(node)
            return node
        }
        return SimulatedLock(path, on: self, node)
    }

    // MARK: Faults and counters

    /// What goes wrong from now on. Setting a plan starts its counts anew.
    public var faults: FaultPlan {
        get { state.withLock { $0.monitor.plan } }
        set { state.withLock { $0.monitor.adopt(newValue) } }
    }

    /// How many calls of each kind were made, failed ones too, since the file system came into being.
    public var callCounts: [FileCall: Int] { state.withLock { $0.monitor.counts } }

    /// How many calls of this kind were made.
    public func calls(of kind: FileCall) -> Int { callCounts[kind, default: 0] }

    /// How many calls of any kind were made.
    public var totalCalls: Int { callCounts.values.reduce(0, +) }

    /// How many calls were made that can change what a crash leaves; see ``FaultPlan/crashAfterCall``.
    public var changingCalls: Int { state.withLock { $0.monitor.changes } }

    /// How many calls of each kind have failed because a plan said so. What a full disk or a stop fails is not counted.
    public var faultsFiredByCall: [FileCall: Int] { state.withLock { $0.monitor.fired } }

    /// How many calls have failed because a plan said so.
    public var faultsFired: Int { faultsFiredByCall.values.reduce(0, +) }

    /// Lets calls through while `body` looks at what there is: no planned fault happens and none is counted, whoever
    /// calls meanwhile. A machine that has stopped stays so.
    public func suspendingFaults<Value, Failure: Error>(_ body: () throws(Failure) -> Value) throws(Failure) -> Value {
        state.withLock { $0.monitor.isSuspended = true }
        defer { state.withLock { $0.monitor.isSuspended = false } }
        return try body()
    }

    /// Whether the plan's crash point has been reached, so that every call fails.
    public var isStopped: Bool { state.withLock { $0.monitor.isStopped } }

    /// How many bytes the files hold that have a name or are open.
    public var usedBytes: Int { state.withLock { $0.usedBytes } }

    // MARK: For the parts of the simulation

    /// Looks at or changes the state, uncounted and unfailing.
    func withState<Value: Sendable, Failure: Error>(
        _ body: (inout SimulatedState) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        try state.withLock { (state) throws(Failure) in try body(&state) }
    }

    /// Makes a call: counts it, fails it when the plan says so, and gives its error a name and a place.
    ///
    /// - Parameter failing: what happens to the state when the plan fails the call. It is told how many bytes to write.
    @discardableResult
    func perform<Value: Sendable>(
        _ call: FileCall, _ path: FilePath, at offset: Int? = nil, changing: Bool = false,
        failing: (inout SimulatedState, Int) -> Void = { _, _ in },
        _ body: (inout SimulatedState) throws(Errno) -> Value
    ) throws(FileError) -> Value {
        do {
            return try state.withLock { (state) throws(Errno) in
                switch state.monitor.admit(call, path, changing: changing) {
                case .pass:
                    return try body(&state)
                case .fail(let errno, let bytesWritten):
                    failing(&state, bytesWritten)
                    throw errno
                case .stopped:
                    throw .ioError
                }
            }
        } catch {
            throw FileError(operation: call.operation, path: path, offset: offset, errno: error)
        }
    }
}

extension SeededGenerator {
    /// A number that looks random and that the text fixes.
    fileprivate static func hash(_ text: String) -> UInt64 {
        text.utf8.reduce(0) { hash, byte in
            var generator = SeededGenerator(seed: hash ^ UInt64(byte))
            return generator.next()
        }
    }
}
