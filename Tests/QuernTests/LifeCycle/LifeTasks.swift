// SPDX-License-Identifier: Apache-2.0
@testable import Quern
@testable import QuernStore

/// A type of tasks, for the compiler.
protocol LifeKind: Sendable {
    associatedtype Memo: TaskMemo
    static var kind: Script.Kind { get }
    static func memo(_ script: Script, sum: Int64) -> Memo
}

enum Leaf: LifeKind {
    static let kind = Script.Kind.leaf
    static func memo(_ script: Script, sum: Int64) -> LeafMemo {
        LeafMemo(number: Int64(script.number), isWhole: script.execute.ending == .unencodable ? 0 : 1)
    }
}

/// What is the same for all types that have children.
protocol BranchKind: LifeKind where Memo == BranchMemo {}

extension BranchKind {
    static func memo(_ script: Script, sum: Int64) -> BranchMemo {
        BranchMemo(number: script.number, sum: sum, isWhole: script.finalize.ending != .unencodable)
    }
}

enum FailFastBranch: BranchKind { static let kind = Script.Kind.failFast }
enum TolerantBranch: BranchKind { static let kind = Script.Kind.tolerate }
enum BudgetBranch: BranchKind { static let kind = Script.Kind.budget }
enum RareBranch: BranchKind { static let kind = Script.Kind.rare }

extension Script.Kind {
    var swiftType: any LifeKind.Type {
        switch self {
        case .leaf: Leaf.self
        case .failFast: FailFastBranch.self
        case .tolerate: TolerantBranch.self
        case .budget: BudgetBranch.self
        case .rare: RareBranch.self
        }
    }
}

struct LeafMemo: FixedLayoutMemo, Equatable {
    var number: Int64
    /// 0 for one that cannot be encoded.
    var isWhole: Int64

    func encodeMemo(into writer: inout ByteWriter) throws {
        if isWhole == 0 { throw Trouble("not whole") }
        withUnsafeBytes(of: self) { writer.append(contentsOf: $0) }
    }
}

struct BranchMemo: CodableMemo, Equatable {
    var number: Int
    /// Of the numbers of the leaves that completed.
    var sum: Int64
    var isWhole = true

    func encodeMemo(into writer: inout ByteWriter) throws {
        if !isWhole { throw Trouble("not whole") }
        try BinaryCodec.encode(self, into: &writer)
    }
}

/// The payload names a script, and has so many bytes beside.
struct LifeTask<Kind: LifeKind>: DurableTask {
    typealias Memo = Kind.Memo
    static var type: TaskType { Kind.kind.type }
    var number: Int
    var padding: Int

    init(_ script: Script) {
        number = script.number
        padding = script.padding
    }

    func encodePayload(into writer: inout ByteWriter) throws {
        writer.append(littleEndian: Int64(number))
        writer.append(zeros: padding)
    }

    static func decodePayload(_ bytes: RawSpan) throws -> Self {
        guard let number = lifeNumber(bytes) else { throw Trouble("\(bytes.byteCount) bytes") }
        var script = Script(number: number, kind: Kind.kind)
        script.padding = bytes.byteCount - 8
        return Self(script)
    }
}

/// The script that a payload, or a leaf's memo, names.
func lifeNumber(_ bytes: RawSpan) -> Int? {
    guard bytes.byteCount >= 8 else { return nil }
    return Int(bytes.withUnsafeBytes { Int64(littleEndian: $0.loadUnaligned(as: Int64.self)) })
}

/// What `execute` hands over.
struct LifeHandover: Codable, Sendable { var number: Int }

struct LifeLeafHandler: TaskHandler {
    let stage: LifeStage

    func execute(_ task: LifeTask<Leaf>, in context: TaskContext) async throws -> LeafMemo {
        Leaf.memo(try await stage.execute(task.number, padding: task.padding, in: context), sum: 0)
    }
}

/// As that, and wants to know of cancels.
struct LifeHookedLeafHandler: TaskHandler, CancelHandling {
    let stage: LifeStage

    func execute(_ task: LifeTask<Leaf>, in context: TaskContext) async throws -> LeafMemo {
        try await LifeLeafHandler(stage: stage).execute(task, in: context)
    }
    func cancelled(_ task: LifeTask<Leaf>, id: TaskID) async throws { stage.cancelled(task.number, id) }
}

struct LifeBranchHandler<Kind: BranchKind>: OrchestratorHandler, CancelHandling {
    typealias Work = LifeTask<Kind>
    let stage: LifeStage

    func execute(_ task: LifeTask<Kind>, in context: TaskContext) async throws -> LifeHandover {
        LifeHandover(number: try await stage.execute(task.number, padding: task.padding, in: context).number)
    }

    func finalize(
        _ task: LifeTask<Kind>, handover: LifeHandover, in context: FinalizeContext
    ) async throws -> BranchMemo {
        let (script, sum) = try await stage.finalize(task.number, handover, in: context)
        return Kind.memo(script, sum: sum)
    }

    func cancelled(_ task: LifeTask<Kind>, id: TaskID) async throws { stage.cancelled(task.number, id) }
}

/// The leaves that completed below a parent: how many, and the sum of their numbers.
struct LeafTotals: Codable, Sendable, Equatable {
    var count: Int64 = 0
    var sum: Int64 = 0

    mutating func add(_ number: Int64) {
        count += 1
        sum += number
    }

    static let aggregate = Aggregate(of: LifeTask<Leaf>.self, into: LeafTotals(), every: 3) { $0.add($1.number) }
}
