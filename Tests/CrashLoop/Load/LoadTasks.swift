// SPDX-License-Identifier: Apache-2.0
import Quern
import QuernStore

/// A root task without children.
struct Single: FixedLayoutTask {
    static let type: TaskType = "crash.single"
    var number: UInt64

    struct Memo: FixedLayoutMemo, Equatable {
        var number: UInt64
        var value: UInt64
    }
}

/// A root task with children, each of which spawns one beside itself until there are `count`.
struct Wave: FixedLayoutTask {
    static let type: TaskType = "crash.wave"
    var number: UInt64
    var count: UInt32
    /// How many it spawns itself.
    var first: UInt32

    struct Memo: FixedLayoutMemo, Equatable {
        var number: UInt64
        var completed: UInt64 = 0
        var failed: UInt64 = 0
        var branches: UInt64 = 0
        var sum: UInt64 = 0
        /// Children that were seen twice or are none of this wave's.
        var strange: UInt64 = 0
    }
}

/// A child of a wave without children.
struct Leaf: FixedLayoutTask {
    static let type: TaskType = "crash.leaf"
    var wave: UInt64
    var count: UInt32
    var first: UInt32
    var index: UInt32
    var padding: UInt32 = 0

    struct Memo: FixedLayoutMemo, Equatable {
        var wave: UInt64
        var index: UInt64
        var value: UInt64
    }
}

/// A child of a wave with children of its own.
struct Branch: FixedLayoutTask {
    static let type: TaskType = "crash.branch"
    var number: UInt64

    struct Memo: FixedLayoutMemo, Equatable {
        var number: UInt64
        var children: UInt32 = 0
        var padding: UInt32 = 0
        var sum: UInt64 = 0
        /// So that it has a length of its own.
        var indexes: UInt64 = 0
    }
}

extension Branch.Memo {
    mutating func add(_ index: UInt32, _ value: UInt64) {
        children += 1
        sum &+= value
        indexes |= 1 << UInt64(index)
    }
}

extension Leaf {
    init(_ index: UInt32, of wave: Wave) {
        self.init(wave: wave.number, count: wave.count, first: wave.first, index: index)
    }

    /// A child of a branch, which spawns nothing.
    init(_ index: UInt32, of branch: Branch) {
        self.init(wave: branch.number, count: 0, first: 1, index: index)
    }

    var parent: Wave { Wave(number: wave, count: count, first: first) }
    var memo: Memo { Memo(wave: wave, index: UInt64(index), value: LoadModel.value(ofLeaf: index, wave: wave)) }
}
